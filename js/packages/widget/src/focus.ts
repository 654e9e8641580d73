/** Keeps the place of a reader who works with the keyboard. */

/**
 * A button that is disabled while its work is done loses the focus; it gets it back when it can be
 * pressed again, unless the reader has gone elsewhere.
 */
export function keepFocus(view: HTMLElement, signal: AbortSignal): void {
  let watching: MutationObserver | undefined;
  const onClick = (event: Event): void => {
    watching?.disconnect();
    const button = (event.target as Element).closest('button');
    if (!button || !view.closest('.paoding-studio')?.contains(button)) return;
    watching = new MutationObserver(() => {
      const lost = document.activeElement === document.body || document.activeElement === null;
      if (lost && !button.disabled) button.focus({ preventScroll: true });
    });
    watching.observe(button, { attributes: true, attributeFilter: ['disabled'] });
  };
  document.addEventListener('click', onClick, { signal, capture: true });
  signal.addEventListener('abort', () => watching?.disconnect());
}

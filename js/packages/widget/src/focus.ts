/** Keeps the place of a reader who works with the keyboard. */

/**
 * A button that is disabled while its work is done loses the focus: the next one in its row that
 * can be pressed stands in (Pause after Start), and gives it back once the button itself can be
 * pressed again, unless the reader has gone elsewhere.
 */
export function keepFocus(view: HTMLElement, signal: AbortSignal): void {
  let watching: MutationObserver | undefined;
  const follow = (button: HTMLButtonElement, origin: HTMLButtonElement): void => {
    watching?.disconnect();
    watching = new MutationObserver(() => {
      const lost = document.activeElement === document.body || document.activeElement === null;
      const mine = document.activeElement === button;
      if (!lost && !mine) return;
      const here = button.disabled ? neighbour(button) : button;
      const to = origin.disabled ? here : origin;
      if (!to || to === document.activeElement) return;
      to.focus({ preventScroll: true });
      if (to !== button) follow(to, origin);
    });
    const row = button.closest('.paoding-row') ?? button;
    watching.observe(row, { attributes: true, attributeFilter: ['disabled'], subtree: true });
  };
  const onClick = (event: Event): void => {
    watching?.disconnect();
    const button = (event.target as Element).closest('button');
    if (button && view.closest('.paoding-studio')?.contains(button)) follow(button, button);
  };
  document.addEventListener('click', onClick, { signal, capture: true });
  signal.addEventListener('abort', () => watching?.disconnect());
}

/** The next button of the row that can be pressed, else the nearest before. */
function neighbour(button: HTMLButtonElement): HTMLButtonElement | undefined {
  const row = button.closest('.paoding-row');
  const all = row ? [...row.querySelectorAll<HTMLButtonElement>('button')] : [];
  const at = all.indexOf(button);
  const able = (one: HTMLButtonElement): boolean =>
    !one.disabled && !one.classList.contains('widget-toggle-button');
  return all.slice(at + 1).find(able) ?? all.slice(0, Math.max(0, at)).reverse().find(able);
}

/** The studio's view, as an anywidget module. */
function render({ el }: { el: HTMLElement }): void {
  el.classList.add('paoding-studio');
}

export default { render };

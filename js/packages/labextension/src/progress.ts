/** The status bar's part: how runs in open notebooks are going, with pause and stop. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { IStatusBar } from '@jupyterlab/statusbar';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import { Widget } from '@lumino/widgets';
import { element } from '@paoding/core';
import { RUN_EVENT, type RunNews } from '@paoding/core/news';
import { translation } from './translation';

const STYLES = `
.paoding-status { display: flex; align-items: center; gap: 6px; white-space: nowrap; }
.paoding-status progress { width: 70px; height: 8px; accent-color: currentColor; }
.paoding-status button { padding: 0 5px; border: 0; background: none; color: inherit; font: inherit;
  cursor: pointer; text-decoration: underline; }
`;

export async function activate(app: JupyterFrontEnd): Promise<void> {
  const trans = await translation(app);
  const bar = await app.resolveOptionalService(IStatusBar);
  const runs = new Map<string, RunNews>();
  const changed = new Signal<object, void>(runs);
  const item = new Widget({ node: element('div', { class: 'paoding-status' }) });
  bar?.registerStatusItem('paoding:runs', {
    item,
    align: 'middle',
    isActive: () => current(runs) !== undefined,
    activeStateChanged: changed,
  });
  window.addEventListener(RUN_EVENT, (event) => {
    const news = (event as CustomEvent<RunNews>).detail;
    const before = runs.get(news.id);
    if (news.state === 'gone') runs.delete(news.id);
    else runs.set(news.id, news);
    if (before?.state === 'running') announce(news, trans);
    show(item.node, runs, trans);
    changed.emit();
  });
}

/** The run that the bar shows: one that moves, or else one that waits. */
function current(runs: Map<string, RunNews>): RunNews | undefined {
  const all = [...runs.values()];
  return all.find((run) => run.state === 'running') ?? all.find((run) => run.state === 'paused');
}

function show(node: HTMLElement, runs: Map<string, RunNews>, trans: TranslationBundle): void {
  const run = current(runs);
  if (!run) {
    node.replaceChildren();
    return;
  }
  const percent = Math.round(100 * run.progress);
  const running = run.state === 'running';
  const others = [...runs.values()].filter((one) => one.state === 'running' && one !== run).length;
  const text = running
    ? trans.__('Pruning %1: %2 %', run.name, percent)
    : trans.__('Pruning %1: paused at %2 %', run.name, percent);
  const button = (action: 'start' | 'pause' | 'stop', label: string): HTMLElement => {
    const made = element('button', { type: 'button' }, label);
    made.addEventListener('click', () => run.press(action));
    return made;
  };
  node.title = run.message;
  node.replaceChildren(
    element('style', {}, STYLES),
    element('span', {}, others > 0 ? `${text} (+${others})` : text),
    element('progress', { max: 100, value: percent, 'aria-label': text }),
    running ? button('pause', trans.__('Pause')) : button('start', trans.__('Go on')),
    button('stop', trans.__('Stop')),
  );
}

function announce(news: RunNews, trans: TranslationBundle): void {
  if (news.state === 'finished') {
    Notification.success(trans.__('Pruning of %1 has finished.', news.name), { autoClose: 8000 });
  } else if (news.state === 'failed') {
    const why = trans.__('Pruning of %1 has failed: %2', news.name, news.error);
    Notification.error(why, { autoClose: false });
  }
}

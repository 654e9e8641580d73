/** The side panel: the Keras models that are alive in the current notebook's kernel. */
import type { ISessionContext } from '@jupyterlab/apputils';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { KernelMessage } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';
import { element, formatBytes, formatCount } from '@paoding/core';
import { pruneIcon } from '../icons';
import styles from './panel.css';
import { cellEnded, type LiveModel, liveModels } from './probe';

export type Act = 'studio' | 'inspect' | 'save' | 'copy';

/** Cells end in quick succession when all of them are run. */
const SETTLE_MS = 300;

export class ModelsPanel extends Widget {
  private readonly list = element('div', { class: 'paoding-models-list' });
  private session: ISessionContext | null = null;
  private timer = 0;
  /** Whether a question waits for the kernel to have nothing else to do. */
  private waiting = false;
  private turn = 0;

  constructor(
    private readonly tracker: INotebookTracker,
    private readonly trans: TranslationBundle,
    private readonly act: (what: Act, model: LiveModel, notebook: NotebookPanel) => void,
  ) {
    super();
    this.id = 'paoding-models';
    this.title.icon = pruneIcon;
    this.title.caption = trans.__('Keras models in the kernel');
    this.addClass('paoding-models');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', this.title.caption);
    this.node.append(
      element('style', {}, styles),
      element('header', {}, element('h2', {}, trans.__('Keras Models'))),
      this.list,
    );
    tracker.currentChanged.connect(this.follow, this);
    this.follow();
  }

  override dispose(): void {
    window.clearTimeout(this.timer);
    this.tracker.currentChanged.disconnect(this.follow, this);
    this.leave();
    super.dispose();
  }

  protected override onAfterShow(): void {
    this.later();
  }

  private follow(): void {
    const session = this.tracker.currentWidget?.sessionContext ?? null;
    if (session !== this.session) {
      this.leave();
      this.session = session;
      session?.iopubMessage.connect(this.onMessage, this);
      session?.kernelChanged.connect(this.later, this);
      session?.statusChanged.connect(this.onStatus, this);
    }
    this.later();
  }

  private leave(): void {
    this.session?.iopubMessage.disconnect(this.onMessage, this);
    this.session?.kernelChanged.disconnect(this.later, this);
    this.session?.statusChanged.disconnect(this.onStatus, this);
    this.session = null;
  }

  private onMessage(_: ISessionContext, message: KernelMessage.IMessage): void {
    if (cellEnded(message)) this.later();
  }

  private onStatus(_: ISessionContext, status: string): void {
    const rests = status === 'idle' && this.waiting;
    if (rests || /restarting|dead|terminating|unknown/.test(status)) this.later();
  }

  /** Asks soon, and only while somebody looks. */
  private later(): void {
    window.clearTimeout(this.timer);
    if (this.isVisible) this.timer = window.setTimeout(() => void this.refresh(), SETTLE_MS);
  }

  private async refresh(): Promise<void> {
    const turn = ++this.turn;
    const { trans } = this;
    const kernel = this.session?.session?.kernel;
    if (!kernel) {
      const none = trans.__('The current notebook has no kernel.');
      this.say(this.session ? none : trans.__('No notebook is open.'));
      return;
    }
    try {
      const language = (await kernel.spec)?.language ?? '';
      if (turn !== this.turn) return;
      if (language.toLowerCase() !== 'python') {
        this.say(trans.__("This kernel's language is %1: Keras needs a Python kernel.", language));
        return;
      }
      this.waiting = kernel.status !== 'idle';
      if (this.waiting) return;
      const models = await liveModels(kernel);
      if (turn !== this.turn) return;
      if (models === null) {
        this.say(trans.__('Keras is not loaded in this kernel. Import it, and models show here.'));
      } else if (models.length === 0) {
        this.say(trans.__('No variable of this kernel is a Keras model.'));
      } else {
        this.list.replaceChildren(...models.map((model) => this.card(model)));
      }
    } catch (error) {
      if (turn === this.turn) this.say(trans.__('The models could not be listed: %1', `${error}`));
    }
  }

  private say(text: string): void {
    this.list.replaceChildren(element('p', { role: 'status' }, text));
  }

  private card(model: LiveModel): HTMLElement {
    const { trans } = this;
    const size = `${trans.__('%1 parameters', formatCount(model.parameters))} · ${formatBytes(model.bytes)}`;
    const button = (what: Act, text: string): HTMLElement => {
      const made = element('button', { type: 'button' }, text);
      made.addEventListener('click', () => {
        const notebook = this.tracker.currentWidget;
        if (notebook) this.act(what, model, notebook);
      });
      return made;
    };
    const whole = [
      button('studio', trans.__('Open Studio')),
      button('inspect', trans.__('Inspect')),
    ];
    return element(
      'article',
      { 'aria-label': model.variable },
      element('h3', {}, model.variable),
      element(
        'p',
        {},
        model.name === model.variable ? model.type : `${model.type} · ${model.name}`,
      ),
      element('p', {}, model.built ? size : trans.__('not built: it has no weights yet')),
      element(
        'div',
        { class: 'paoding-models-buttons' },
        ...(model.built ? whole : []),
        ...(model.built ? [button('save', trans.__('Save and View'))] : []),
        button('copy', trans.__('Copy Name')),
      ),
    );
  }
}

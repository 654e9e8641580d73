/** The panel of live models, and what can be done with one of them. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import {
  Clipboard,
  ICommandPalette,
  InputDialog,
  Notification,
  showErrorMessage,
} from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { INotebookTracker, NotebookActions, type NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import { OPEN_STUDIO } from '../commands';
import { pruneIcon } from '../icons';
import { type Settings, settings, studioArguments } from '../settings';
import { translation } from '../translation';
import { type Act, ModelsPanel } from './panel';
import { type LiveModel, liveModels } from './probe';

export async function activate(app: JupyterFrontEnd): Promise<void> {
  const tracker = await app.resolveOptionalService(INotebookTracker);
  if (!tracker) return; // A page without notebooks, such as Notebook 7's list of files.
  const trans = await translation(app);
  const actions = new Actions(app, trans, await settings(app));
  const panel = new ModelsPanel(tracker, trans, (what, model, notebook) => {
    actions.do(what, model, notebook).catch((error) => showErrorMessage(model.variable, error));
  });
  app.shell.add(panel, 'left', { rank: 600, type: 'Keras Models' });

  app.commands.addCommand(OPEN_STUDIO, {
    label: trans.__('Open Studio for a Model'),
    caption: trans.__('Insert and run a cell that opens the pruning studio'),
    icon: pruneIcon,
    isEnabled: () => tracker.currentWidget !== null,
    describedBy: {
      args: {
        type: 'object',
        properties: { variable: { type: 'string', description: trans.__('The model to prune') } },
      },
    },
    execute: async (args) => {
      const notebook = tracker.currentWidget;
      if (!notebook) return;
      const given = args.variable as string | undefined;
      const variable = given ?? (await chooseModel(notebook, trans));
      if (variable) await actions.openStudio(variable, notebook);
    },
  });
  const palette = await app.resolveOptionalService(ICommandPalette);
  palette?.addItem({ command: OPEN_STUDIO, category: trans.__('Pruning') });
}

/** The kernel's only model, or the one that the reader picks; null where there is none. */
async function chooseModel(
  notebook: NotebookPanel,
  trans: TranslationBundle,
): Promise<string | null> {
  const kernel = notebook.sessionContext.session?.kernel;
  const idle = kernel?.status === 'idle';
  const models = kernel && idle ? ((await liveModels(kernel)) ?? []) : [];
  const names = models.filter((model) => model.built).map((model) => model.variable);
  if (names.length > 1) {
    const title = trans.__('Which model is to be pruned?');
    return (await InputDialog.getItem({ title, items: names })).value;
  }
  if (names.length === 0) {
    const why = trans.__('Load or build a Keras model in this notebook first.');
    const busy = trans.__('The kernel is busy: try again when its cells have run.');
    Notification.info(idle ? why : busy, { autoClose: 5000 });
  }
  return names[0] ?? null;
}

class Actions {
  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly trans: TranslationBundle,
    private readonly settings: () => Settings,
  ) {}

  async do(what: Act, { variable }: LiveModel, notebook: NotebookPanel): Promise<void> {
    if (what === 'studio') await this.openStudio(variable, notebook);
    if (what === 'inspect')
      await runBelow(notebook, `import paoding\nprint(paoding.inspect(${variable}))`);
    if (what === 'save') await this.saveAndView(variable, notebook);
    if (what === 'copy') Clipboard.copyToSystem(variable);
  }

  async openStudio(variable: string, notebook: NotebookPanel): Promise<void> {
    const studio = `studio_${variable}`;
    const made = `PruningStudio(${variable}, ${studioArguments(this.settings())})`;
    await runBelow(
      notebook,
      `from paoding_widgets import PruningStudio\n\n${studio} = ${made}\n${studio}`,
    );
  }

  /** Saves beside the notebook under a name that is free, without a cell, and opens the viewer. */
  private async saveAndView(variable: string, notebook: NotebookPanel): Promise<void> {
    const { contents } = this.app.serviceManager;
    const kernel = notebook.sessionContext.session?.kernel;
    if (!kernel) return;
    const folder = PathExt.dirname(notebook.context.path);
    const { content } = await contents.get(folder);
    const taken = new Set((content as { name: string }[]).map((item) => item.name));
    let name = `${variable}.keras`;
    for (let n = 1; taken.has(name); n++) name = `${variable}-${n}.keras`;
    const code = `${variable}.save(${JSON.stringify(name)})`;
    const reply = (await kernel.requestExecute({ code, silent: true, store_history: false }).done)
      .content;
    if (reply.status !== 'ok') {
      const why = reply.status === 'error' ? `${reply.ename}: ${reply.evalue}` : reply.status;
      throw new Error(this.trans.__('The model could not be saved: %1', why));
    }
    const documents = await this.app.resolveRequiredService(IDocumentManager);
    documents.openOrReveal(PathExt.join(folder, name));
  }
}

/** Inserts a cell below the current one and runs it, as if it had been typed. */
async function runBelow({ content, sessionContext }: NotebookPanel, source: string): Promise<void> {
  NotebookActions.insertBelow(content);
  content.activeCell?.model.sharedModel.setSource(source);
  await NotebookActions.run(content, sessionContext);
}

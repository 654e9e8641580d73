/** Opens two models side by side, and run folders, from the file browser and the palette. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { ICommandPalette, MainAreaWidget, showErrorMessage } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Widget } from '@lumino/widgets';
import { COMPARE, NEW_NOTEBOOK, OPEN_RUN } from '../commands';
import { pruneIcon } from '../icons';
import { translation } from '../translation';
import { textOf } from './files';

const MODEL = /\.(keras|h5|hdf5)$/i;
const RUN = /^(plan|report)\.json$/;
/** Files of a run folder, as `paoding.run_folder` names them. */
const [PLAN, ORIGINAL, PRUNED] = ['plan.json', 'original.keras', 'model.keras'];
const LOG = 'decisions.parquet';

export async function activate(app: JupyterFrontEnd): Promise<void> {
  const trans = await translation(app);
  const browser = await app.resolveOptionalService(IDefaultFileBrowser);
  const palette = await app.resolveOptionalService(ICommandPalette);
  const chosen = (): string[] => [...(browser?.selectedItems() ?? [])].map((item) => item.path);
  const models = (): string[] => chosen().filter((path) => MODEL.test(path));
  const run = (): string | undefined => chosen().find((path) => RUN.test(PathExt.basename(path)));

  app.commands.addCommand(COMPARE, {
    label: trans.__('Compare Models'),
    caption: trans.__('Show two model files side by side: what went, and what changed'),
    icon: pruneIcon,
    isVisible: (args) => typeof args.before === 'string' || models().length === 2,
    describedBy: {
      args: {
        type: 'object',
        properties: { before: { type: 'string' }, after: { type: 'string' } },
      },
    },
    execute: async (args) => {
      const [first, second] = models();
      const before = (args.before as string | undefined) ?? first;
      const after = (args.after as string | undefined) ?? second;
      if (before && after) await compare(app, trans, before, after);
    },
  });
  app.commands.addCommand(OPEN_RUN, {
    label: trans.__('Open Pruning Run'),
    caption: trans.__('Show what a run folder holds: sizes, curves, removals and settings'),
    icon: pruneIcon,
    isVisible: (args) => typeof args.path === 'string' || run() !== undefined,
    describedBy: { args: { type: 'object', properties: { path: { type: 'string' } } } },
    execute: async (args) => {
      const path = (args.path as string | undefined) ?? PathExt.dirname(run() ?? '');
      await openRun(app, trans, path);
    },
  });
  app.contextMenu.addItem({ command: COMPARE, selector: '.jp-DirListing-item', rank: 3.1 });
  const selector = '.jp-DirListing-item[data-file-type="json"]';
  app.contextMenu.addItem({ command: OPEN_RUN, selector, rank: 3.2 });
  palette?.addItem({ command: COMPARE, category: trans.__('Pruning') });
  palette?.addItem({ command: OPEN_RUN, category: trans.__('Pruning') });
}

function open(app: JupyterFrontEnd, content: Widget, label: string, caption: string): void {
  content.title.label = label;
  content.title.caption = caption;
  content.title.icon = pruneIcon;
  const widget = new MainAreaWidget({ content });
  app.shell.add(widget, 'main');
  app.shell.activateById(widget.id);
}

/** The plan counts where both files come from one run folder; the original is then the first. */
async function compare(
  app: JupyterFrontEnd,
  trans: TranslationBundle,
  first: string,
  second: string,
): Promise<void> {
  const { ComparePanel } = await import('./panel');
  const folder = PathExt.dirname(first);
  const names = [PathExt.basename(first), PathExt.basename(second)];
  const ofRun = names.includes(ORIGINAL) && names.includes(PRUNED);
  const one = ofRun && PathExt.dirname(second) === folder;
  const plan = one ? await textOf(app, PathExt.join(folder, PLAN)).catch(() => null) : null;
  const files: [string, string] = one
    ? [PathExt.join(folder, ORIGINAL), PathExt.join(folder, PRUNED)]
    : [first, second];
  const panel = new ComparePanel(app, trans, files, plan, one);
  open(app, panel, names.join(' ↔ '), `${first}\n${second}`);
}

async function openRun(
  app: JupyterFrontEnd,
  trans: TranslationBundle,
  folder: string,
): Promise<void> {
  const { runView } = await import('./run');
  try {
    const [plan, report] = await Promise.all([
      textOf(app, PathExt.join(folder, PLAN)),
      textOf(app, PathExt.join(folder, 'report.json')),
    ]);
    const { content } = await app.serviceManager.contents.get(folder);
    const files = (content as { name: string }[]).map((item) => item.name);
    const original = files.includes(ORIGINAL);
    const view = runView(plan, report, trans, {
      go: () => void app.commands.execute(NEW_NOTEBOOK, { run: folder }),
      compare: original
        ? () =>
            void app.commands.execute(COMPARE, {
              before: PathExt.join(folder, ORIGINAL),
              after: PathExt.join(folder, PRUNED),
            })
        : null,
      decisions: files.includes(LOG)
        ? async () => {
            const { decisionsView, readDecisions } = await import('./decisions');
            return decisionsView(await readDecisions(app, PathExt.join(folder, LOG)), trans);
          }
        : null,
    });
    open(app, view, PathExt.basename(folder) || trans.__('Pruning run'), folder);
  } catch (error) {
    const { sentence } = await import('../viewer/panel');
    await showErrorMessage(trans.__('This is no run folder'), sentence(error, trans));
  }
}

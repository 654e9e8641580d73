/** Moves a studio out of its cell's output into a panel beside the notebook. */
import { ILabShell, type JupyterFrontEnd } from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';
import { MOVE_BESIDE } from './commands';
import { pruneIcon } from './icons';
import { translation } from './translation';

/** JupyterLab's own: a second view of the active cell's output, below the notebook. */
const NEW_VIEW = 'notebook:create-output-view';

export async function activate(app: JupyterFrontEnd): Promise<void> {
  const shell = await app.resolveOptionalService(ILabShell);
  const tracker = await app.resolveOptionalService(INotebookTracker);
  if (!shell || !tracker) return; // Notebook 7 shows one document a page: there is no beside.
  const trans = await translation(app);
  app.commands.addCommand(MOVE_BESIDE, {
    label: trans.__('Move Studio Beside the Notebook'),
    caption: trans.__('Show the studio in a panel of its own, to the right of its notebook'),
    icon: pruneIcon,
    isEnabled: () => tracker.currentWidget !== null,
    describedBy: { args: { type: 'object', properties: {} } },
    execute: async () => {
      const notebook = tracker.currentWidget;
      const cell = notebook ? studioCell(notebook) : -1;
      if (!notebook || cell < 0) {
        const none = trans.__('This notebook shows no studio: run the cell that makes one first.');
        Notification.info(none, { autoClose: 5000 });
        return;
      }
      notebook.content.activeCellIndex = cell;
      const before = new Set(shell.widgets('main'));
      await app.commands.execute(NEW_VIEW);
      const view = [...shell.widgets('main')].find((widget) => !before.has(widget));
      if (!view) return;
      view.title.label = trans.__('Pruning studio');
      view.title.icon = pruneIcon;
      shell.add(view, 'main', { ref: notebook.id, mode: 'split-right' });
    },
  });
  const palette = await app.resolveOptionalService(ICommandPalette);
  palette?.addItem({ command: MOVE_BESIDE, category: trans.__('Pruning') });
}

/** The active cell if its output holds a studio, else the last that does; -1 where none does. */
function studioCell({ content }: NotebookPanel): number {
  const holds = (index: number): boolean =>
    content.widgets[index]?.node.querySelector('.paoding-studio') != null;
  if (holds(content.activeCellIndex)) return content.activeCellIndex;
  return content.widgets.findLastIndex((_, index) => holds(index));
}

/** The launcher card and the command that open a new notebook, ready for pruning. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { ICommandPalette, showErrorMessage } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { ILauncher } from '@jupyterlab/launcher';
import type { ServiceManager } from '@jupyterlab/services';
import { NEW_NOTEBOOK } from './commands';
import { pruneIcon } from './icons';
import { pythonKernel } from './kernel';
import { settings } from './settings';
import { starterNotebook } from './starter';
import { translation } from './translation';

/** Write a new pruning notebook into a folder of the server and return its path. */
async function createNotebook(
  services: ServiceManager.IManager,
  folder: string,
  content: ReturnType<typeof starterNotebook>,
): Promise<string> {
  const { path } = await services.contents.newUntitled({ path: folder, type: 'notebook' });
  await services.contents.save(path, { type: 'notebook', format: 'json', content });
  return path;
}

// Everything but the document manager may be missing: Notebook 7 has no launcher.
export async function activate(app: JupyterFrontEnd): Promise<void> {
  const documents = await app.resolveRequiredService(IDocumentManager);
  const launcher = await app.resolveOptionalService(ILauncher);
  const palette = await app.resolveOptionalService(ICommandPalette);
  const browser = await app.resolveOptionalService(IDefaultFileBrowser);
  const trans = await translation(app);
  const chosen = await settings(app);

  app.commands.addCommand(NEW_NOTEBOOK, {
    label: (args) =>
      args.isLauncher || args.isMenu
        ? trans.__('Pruning Notebook')
        : trans.__('New Pruning Notebook'),
    caption: trans.__('Open a notebook that loads a Keras network and prunes it step by step'),
    icon: pruneIcon,
    describedBy: {
      args: {
        type: 'object',
        properties: {
          cwd: { type: 'string', description: trans.__('The folder to write to') },
          model: { type: 'string', description: trans.__('The model file to prune') },
          run: { type: 'string', description: trans.__('The run folder to go on with') },
        },
      },
    },
    execute: async (args) => {
      await app.serviceManager.kernelspecs.ready;
      const kernel = pythonKernel(app.serviceManager.kernelspecs.specs);
      if (kernel === null) {
        await showErrorMessage(
          trans.__('No Python kernel'),
          trans.__('Pruning needs a Python kernel, and this server has none: install ipykernel.'),
        );
        return undefined;
      }
      // A kernel knows paths without the name of the drive that shows them.
      const given = args.model as string | undefined;
      const model = given === undefined ? given : app.serviceManager.contents.localPath(given);
      const beside = model === undefined ? undefined : PathExt.dirname(model);
      const told = args.run as string | undefined;
      const run = told === undefined ? told : app.serviceManager.contents.localPath(told);
      const home = run === undefined ? beside : PathExt.dirname(run);
      const folder = (args.cwd as string | undefined) ?? home ?? browser?.model.path ?? '';
      const from = (file: string | undefined) =>
        file === undefined ? file : PathExt.relative(folder, file);
      const content = starterNotebook(kernel, trans, chosen(), from(model), from(run));
      try {
        const path = await createNotebook(app.serviceManager, folder, content);
        // Returned so that the launcher gives its place to the notebook.
        return documents.openOrReveal(path, 'Notebook', { name: kernel.name });
      } catch (error) {
        await showErrorMessage(trans.__('The notebook could not be written'), error as Error);
        return undefined;
      }
    },
  });

  launcher?.add({
    command: NEW_NOTEBOOK,
    args: { isLauncher: true },
    category: 'Notebook',
    rank: 10,
    // A card among the notebooks shows an address, as kernels have, and no command's icon.
    kernelIconUrl: `data:image/svg+xml,${encodeURIComponent(pruneIcon.svgstr)}`,
  });
  palette?.addItem({ command: NEW_NOTEBOOK, category: trans.__('Pruning') });
}

/** The lessons: a section of the launcher, and a command that opens a copy of one. */

import { lessons } from 'paoding:lessons';
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { ICommandPalette, showErrorMessage } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { ILauncher } from '@jupyterlab/launcher';
import type { Contents } from '@jupyterlab/services';
import { OPEN_LESSON } from './commands';
import { lessonIcon } from './icons';
import { pythonKernel } from './kernel';
import { translation } from './translation';

/** The folder, beside what the reader is at, that copies go into. */
const FOLDER = 'paoding-lessons';

export async function activate(app: JupyterFrontEnd): Promise<void> {
  const documents = await app.resolveRequiredService(IDocumentManager);
  const launcher = await app.resolveOptionalService(ILauncher);
  const palette = await app.resolveOptionalService(ICommandPalette);
  const browser = await app.resolveOptionalService(IDefaultFileBrowser);
  const trans = await translation(app);
  const { contents, kernelspecs } = app.serviceManager;

  app.commands.addCommand(OPEN_LESSON, {
    label: ({ lesson, isLauncher }) => {
      const title = lessons.find(({ name }) => name === lesson)?.title;
      if (title === undefined) return trans.__('Open a Pruning Lesson');
      return isLauncher ? title.replace(/:.*/, '') : title;
    },
    caption: trans.__(
      'Open your copy of this lesson in the folder %1; it is written where it is missing',
      FOLDER,
    ),
    icon: lessonIcon,
    describedBy: {
      args: {
        type: 'object',
        required: ['lesson'],
        properties: {
          cwd: { type: 'string', description: trans.__('The folder to write to') },
          lesson: { type: 'string', enum: lessons.map(({ name }) => name) },
        },
      },
    },
    execute: async ({ lesson, cwd }) => {
      const chosen = lessons.find(({ name }) => name === lesson) ?? lessons[0];
      if (chosen === undefined) return undefined;
      await kernelspecs.ready;
      const kernel = pythonKernel(kernelspecs.specs);
      const folder = PathExt.join(String(cwd ?? browser?.model.path ?? ''), FOLDER);
      const path = PathExt.join(folder, chosen.name);
      try {
        if (!(await exists(contents, path))) {
          const { default: notebook } = await chosen.load();
          await makeFolder(contents, folder);
          await contents.save(path, {
            type: 'notebook',
            format: 'json',
            content:
              kernel === null
                ? notebook
                : {
                    ...notebook,
                    metadata: {
                      ...notebook.metadata,
                      kernelspec: { name: kernel.name, display_name: kernel.displayName },
                    },
                  },
          });
        }
        return documents.openOrReveal(path, 'Notebook');
      } catch (error) {
        await showErrorMessage(trans.__('The lesson could not be written'), error as Error);
        return undefined;
      }
    },
  });

  for (const [rank, { name }] of lessons.entries()) {
    const item = { command: OPEN_LESSON, args: { lesson: name } };
    launcher?.add({
      ...item,
      args: { ...item.args, isLauncher: true },
      category: 'Paoding',
      rank,
    });
    palette?.addItem({ ...item, category: trans.__('Pruning Lessons') });
  }
}

async function exists(contents: Contents.IManager, path: string): Promise<boolean> {
  try {
    await contents.get(path, { content: false });
    return true;
  } catch {
    return false;
  }
}

/** Unlike files, folders are made untitled and then renamed. */
async function makeFolder(contents: Contents.IManager, path: string): Promise<void> {
  if (await exists(contents, path)) return;
  const made = await contents.newUntitled({ path: PathExt.dirname(path), type: 'directory' });
  await contents.rename(made.path, path);
}

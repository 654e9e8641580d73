/** The plugins that Paoding adds to JupyterLab; the code of each is loaded when it starts. */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';

interface Part {
  activate(app: JupyterFrontEnd): void | Promise<void>;
}

/** There in JupyterLab and Notebook 7. Voilà has it not, nor shares the packages that we need. */
const DOCUMENTS = '@jupyterlab/docmanager-extension:manager';

// Packages of JupyterLab are imported only inside a part: a page that does not share one of them
// could not load this module at all.
function plugin(
  name: string,
  description: string,
  load: () => Promise<Part>,
): JupyterFrontEndPlugin<void> {
  return {
    id: `@paoding/labextension:${name}`,
    description,
    autoStart: true,
    activate: async (app) => {
      if (app.hasPlugin(DOCUMENTS)) await (await load()).activate(app);
    },
  };
}

export default [
  plugin(
    'plugin',
    'Opens a new notebook with the cells that start the pruning studio.',
    () => import('./launcher'),
  ),
  plugin('lessons', 'Opens the lessons from the launcher.', () => import('./lessons')),
  plugin('viewer', 'Shows Keras model files.', () => import('./viewer/plugin')),
  plugin(
    'compare',
    'Shows two models side by side, and what a pruning run has done.',
    () => import('./compare/plugin'),
  ),
  plugin(
    'models',
    "Lists the Keras models in the current notebook's kernel.",
    () => import('./models/plugin'),
  ),
  plugin('beside', 'Moves a studio beside its notebook.', () => import('./beside')),
  plugin('progress', 'Shows in the status bar how runs are going.', () => import('./progress')),
];

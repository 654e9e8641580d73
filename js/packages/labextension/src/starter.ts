/** The cells of a new pruning notebook: load a pretrained network, open the studio, read the result. */
import type * as nbformat from '@jupyterlab/nbformat';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Kernel } from './kernel';
import { type Settings, studioArguments } from './settings';

/**
 * Write the content of a new pruning notebook.
 *
 * With the path of a model file, relative to the notebook, it loads that one instead of one of the
 * zoo; with that of a run folder it goes on with that run. The cells only name the public Python interface, so that they run as they are.
 */
export function starterNotebook(
  kernel: Kernel,
  trans: TranslationBundle,
  settings: Settings,
  model?: string,
  run?: string,
): nbformat.INotebookContent {
  return {
    nbformat: 4,
    nbformat_minor: 5,
    metadata: {
      kernelspec: {
        name: kernel.name,
        display_name: kernel.displayName,
        language: kernel.language,
      },
      language_info: { name: kernel.language },
    },
    cells: run === undefined ? startCells(trans, settings, model) : continueCells(trans, run),
  };
}

function startCells(
  trans: TranslationBundle,
  settings: Settings,
  model?: string,
): nbformat.ICell[] {
  return [
    markdown(
      'intro',
      `# ${trans.__('Pruning a Keras network')}\n\n${trans.__(
        model === undefined
          ? 'Run the cells, then press Start in the studio. ' +
              'To prune a network of your own, load it with paoding.load_model("model.keras").'
          : 'Run the cells: the first loads your network and prints what can be pruned, the ' +
              'second opens the studio. Press Start there.',
      )}`,
    ),
    code(
      'load',
      'import paoding\nfrom paoding_widgets import PruningStudio\n\n' +
        (model === undefined
          ? 'model, data = paoding.zoo.load("mnist-mlp")'
          : `model = paoding.load_model(${JSON.stringify(model)})\nprint(paoding.inspect(model))`),
    ),
    code(
      'studio',
      model === undefined
        ? `studio = PruningStudio(model, data=(data.x, data.y), ${studioArguments(settings)})\nstudio`
        : '# data=(x, y) adds accuracy and robustness to the charts; domain=paoding.Box(lo, hi)\n' +
            '# says which inputs are legal.\n' +
            `studio = PruningStudio(model, ${studioArguments(settings)})\nstudio`,
    ),
    markdown(
      'after',
      trans.__('When the run has finished, `studio.result` holds the smaller network.'),
    ),
    code('result', ''),
  ];
}

/** A saved run goes on where it stopped: its folder holds the original, the plan and the settings. */
function continueCells(trans: TranslationBundle, run: string): nbformat.ICell[] {
  return [
    markdown(
      'intro',
      `# ${trans.__('Going on with a pruning run')}\n\n${trans.__(
        'Run the cells: the studio opens with all steps of the run. Raise the target and press ' +
          'Start to go on, or go back to an earlier step.',
      )}`,
    ),
    code(
      'studio',
      '# model=... gives the original where the folder does not hold it; data=(x, y) measures accuracy.\n' +
        'from paoding_widgets import PruningStudio\n\n' +
        `studio = PruningStudio.load(${JSON.stringify(run)})\nstudio`,
    ),
    markdown('after', trans.__('Every candidate that was considered, and why it stayed or went:')),
    code(
      'decisions',
      `import pandas as pd\n\npd.read_parquet(${JSON.stringify(`${run}/decisions.parquet`)})`,
    ),
  ];
}

function markdown(id: string, source: string): nbformat.IMarkdownCell {
  return { cell_type: 'markdown', id, metadata: {}, source };
}

function code(id: string, source: string): nbformat.ICodeCell {
  return { cell_type: 'code', id, metadata: {}, source, outputs: [], execution_count: null };
}

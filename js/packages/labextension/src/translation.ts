/** The language of the page, for every text that the extension shows. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { ITranslator, nullTranslator, type TranslationBundle } from '@jupyterlab/translation';

export async function translation(app: JupyterFrontEnd): Promise<TranslationBundle> {
  return ((await app.resolveOptionalService(ITranslator)) ?? nullTranslator).load('paoding');
}

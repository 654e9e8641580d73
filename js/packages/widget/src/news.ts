/** Tells the page around the notebook how the run goes, such as for JupyterLab's status bar. */

import { type RunNews, tellPage } from '@paoding/core/news';
import type { Model } from './traits';

/** Begins when the widget comes to the page, before and without any view of it. */
export function tellRuns({ model }: { model: Model }): (() => void) | undefined {
  if (model.get('mode') !== 'studio') return undefined;
  const id = `${Math.random()}`;
  const news = (): RunNews => {
    const { name, state, message, error, progress } = model.get('header');
    const press = (action: string): void => model.send({ action });
    return { id, name, state, message, error, progress, press };
  };
  const tell = (): void => {
    if (model.get('header').state) tellPage(news());
  };
  model.on('change:header', tell);
  tell();
  return () => {
    model.off('change:header', tell);
    tellPage({ ...news(), state: 'gone' });
  };
}

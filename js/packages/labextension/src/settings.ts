/** What the user has set, with the defaults of `schema/plugin.json` where there is no registry. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { ISettingRegistry } from '@jupyterlab/settingregistry';

export interface Settings {
  target: number;
  strategy: string;
  effort: string;
  direction: 'horizontal' | 'vertical';
  colours: 'by kind' | 'none';
}

const PLUGIN = '@paoding/labextension:plugin';
export const DEFAULTS: Settings = {
  target: 0.5,
  strategy: 'annealing',
  effort: 'normal',
  direction: 'horizontal',
  colours: 'by kind',
};

/** Gives the settings as they are whenever it is asked. */
export async function settings(app: JupyterFrontEnd): Promise<() => Settings> {
  try {
    const registry = await app.resolveOptionalService(ISettingRegistry);
    const loaded = await registry?.load(PLUGIN);
    return () => ({ ...DEFAULTS, ...(loaded?.composite as Partial<Settings> | undefined) });
  } catch {
    // A server that does not know the schema: the defaults are as good.
    return () => DEFAULTS;
  }
}

/** Arguments of `PruningStudio` in Python: the target always, the others where they were changed. */
export function studioArguments(chosen: Settings): string {
  const others = (['strategy', 'effort'] as const)
    .filter((name) => chosen[name] !== DEFAULTS[name])
    .map((name) => `, ${name}=${JSON.stringify(chosen[name])}`);
  return `target=${chosen.target}${others.join('')}`;
}

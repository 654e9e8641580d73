/** The plugins that Paoding adds to JupyterLab. */
import { launcherPlugin } from './launcher';

export default [launcherPlugin];

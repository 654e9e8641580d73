/** The plugins that Paoding adds to JupyterLab. */
import { launcherPlugin } from './launcher';
import { viewerPlugin } from './viewer/plugin';

export default [launcherPlugin, viewerPlugin];

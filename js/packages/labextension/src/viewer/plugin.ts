/** Opens model files: structure, layers and weights, without a kernel and without Python. */
import { ILayoutRestorer, type JupyterFrontEnd } from '@jupyterlab/application';
import { WidgetTracker } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import { ABCWidgetFactory, type DocumentRegistry, DocumentWidget } from '@jupyterlab/docregistry';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { type Contents, IDefaultDrive } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import { NEW_NOTEBOOK, PRUNE_IN_NOTEBOOK } from '../commands';
import { pruneIcon } from '../icons';
import { type Settings, settings } from '../settings';
import { translation } from '../translation';
import { ModelPanel } from './panel';

const VIEWER = 'Keras Model';
const FILE_TYPE = 'keras-model';
const HDF5 = 'hdf5';
/** Tells JupyterLab not to load such files: they are read in parts instead. */
const PROVIDER = 'paoding:parts';
/** A layer that the page's own address names, such as `.../tree/net.keras#conv1`; used once. */
let asked = decodeURIComponent(window.location.hash.slice(1));

class ModelDocument extends DocumentWidget<ModelPanel> {
  override setFragment(fragment: string): void {
    this.content.reveal(decodeURIComponent(fragment.replace(/^#/, '')));
  }
}

class ViewerFactory extends ABCWidgetFactory<ModelDocument> {
  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly trans: TranslationBundle,
    private readonly settings: () => Settings,
    options: DocumentRegistry.IWidgetFactoryOptions,
  ) {
    super(options);
    this.contentProviderId = PROVIDER;
  }

  protected override createNewWidget(context: DocumentRegistry.Context): ModelDocument {
    const { path } = context;
    const deeds = {
      prune: () => void this.app.commands.execute(NEW_NOTEBOOK, { model: path }),
      link: (layer: string) =>
        `[${layer}](${encodeURI(PathExt.basename(path))}#${encodeURIComponent(layer)})`,
    };
    const content = new ModelPanel(this.app, path, this.trans, this.settings, deeds, asked);
    asked = '';
    const widget = new ModelDocument({ content, context });
    widget.title.icon = pruneIcon;
    context.fileChanged.connect(() => void content.load());
    return widget;
  }
}

export async function activate(app: JupyterFrontEnd): Promise<void> {
  const drive = await app.resolveOptionalService(IDefaultDrive);
  const browser = await app.resolveOptionalService(IDefaultFileBrowser);
  const trans = await translation(app);
  const chosen = await settings(app);
  const { contents } = app.serviceManager;
  drive?.contentProviderRegistry?.register(PROVIDER, {
    get: async (path: string): Promise<Contents.IModel> => ({
      ...(await contents.get(path, { content: false })),
      content: '',
      format: 'text',
    }),
    save: async (path: string) => contents.get(path, { content: false }),
  });
  app.docRegistry.addFileType({
    name: FILE_TYPE,
    displayName: trans.__('Keras Model'),
    extensions: ['.keras'],
    mimeTypes: ['application/x-keras'],
    fileFormat: 'text',
    contentType: 'file',
    icon: pruneIcon,
  });
  // Another extension may show HDF5 files of all kinds: then this viewer is only offered for them.
  const mine = !app.docRegistry.getFileType(HDF5);
  if (mine) {
    app.docRegistry.addFileType({
      name: HDF5,
      displayName: trans.__('HDF5 File'),
      extensions: ['.h5', '.hdf5'],
      fileFormat: 'text',
      contentType: 'file',
    });
  }
  const factory = new ViewerFactory(app, trans, chosen, {
    name: VIEWER,
    label: trans.__('Keras Model'),
    modelName: 'text',
    fileTypes: [FILE_TYPE, HDF5],
    defaultFor: mine ? [FILE_TYPE, HDF5] : [FILE_TYPE],
    readOnly: true,
  });
  app.docRegistry.addWidgetFactory(factory as DocumentRegistry.WidgetFactory);
  const tabs = new WidgetTracker<ModelDocument>({ namespace: 'paoding-viewer' });
  factory.widgetCreated.connect((_, widget) => {
    widget.context.pathChanged.connect(() => void tabs.save(widget));
    void tabs.add(widget);
  });
  const restorer = await app.resolveOptionalService(ILayoutRestorer);
  void restorer?.restore(tabs, {
    command: 'docmanager:open',
    args: ({ context }) => ({ path: context.path, factory: VIEWER }),
    name: ({ context }) => context.path,
  });
  app.commands.addCommand(PRUNE_IN_NOTEBOOK, {
    label: trans.__('Prune in a Notebook'),
    icon: pruneIcon,
    describedBy: {
      args: {
        type: 'object',
        properties: { path: { type: 'string', description: trans.__('The model file to prune') } },
      },
    },
    isVisible: (args) => selected(app, browser, args) !== null,
    execute: async (args) => {
      const path = selected(app, browser, args);
      if (path !== null) await app.commands.execute(NEW_NOTEBOOK, { model: path });
    },
  });
  for (const kind of [FILE_TYPE, HDF5]) {
    app.contextMenu.addItem({
      command: PRUNE_IN_NOTEBOOK,
      selector: `.jp-DirListing-item[data-file-type="${kind}"]`,
      rank: 3,
    });
  }
}

/** The model file that is meant: given, selected in the file browser, or shown; else null. */
function selected(
  app: JupyterFrontEnd,
  browser: IDefaultFileBrowser | null,
  { path }: { path?: unknown },
): string | null {
  if (typeof path === 'string') return path;
  const item = browser?.isVisible ? browser.selectedItems().next().value : undefined;
  if (item && /\.(keras|h5|hdf5)$/i.test(PathExt.basename(item.path))) return item.path;
  const { currentWidget } = app.shell;
  return currentWidget instanceof ModelDocument ? currentWidget.context.path : null;
}

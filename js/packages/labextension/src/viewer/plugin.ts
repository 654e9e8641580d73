/** Opens `.keras` files: the structure and the layers, without a kernel and without Python. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { PathExt } from '@jupyterlab/coreutils';
import { ABCWidgetFactory, type DocumentRegistry, DocumentWidget } from '@jupyterlab/docregistry';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { type Contents, IDefaultDrive, ServerConnection } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';
import { entryOf, FileError, parseModel, readDirectory, readText } from '@paoding/core/keras';
import { NEW_NOTEBOOK, PRUNE_IN_NOTEBOOK } from '../commands';
import { pruneIcon } from '../icons';
import { openUrl } from '../reader/source';
import { translation } from '../translation';
import { type FileFacts, ModelView } from './view';

const FILE_TYPE = 'keras-model';
const HDF5 = 'hdf5';
/** Tells JupyterLab not to load such files: they are read in parts instead. */
const PROVIDER = 'paoding:parts';
/** The configuration of the largest known models has a few MB. */
const MOST_CONFIG = 64 << 20;
const MOST_METADATA = 1 << 20;

/** The file's model, or a sentence that says why it cannot be shown. */
class ModelPanel extends Widget {
  private view: ModelView | null = null;
  /** Counts the readings, so that an older one never replaces a newer. */
  private reading = 0;

  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly path: string,
    private readonly trans: TranslationBundle,
  ) {
    super();
    this.addClass('paoding-viewer-host');
    void this.load();
  }

  /** Reads the file anew, such as after it has changed. */
  async load(): Promise<void> {
    const turn = ++this.reading;
    this.say(this.trans.__('Reading the model ...'));
    try {
      const { model, facts } = await this.read();
      if (this.isDisposed || turn !== this.reading) return;
      this.view?.destroy();
      this.view = new ModelView(model, facts, this.trans, () => {
        void this.app.commands.execute(NEW_NOTEBOOK, { model: this.path });
      });
      this.node.replaceChildren(this.view.root);
    } catch (error) {
      if (this.isDisposed || turn !== this.reading) return;
      const known = error instanceof FileError;
      const other = this.trans.__('The file could not be read: %1', String(error));
      this.say(known ? error.message : other);
    }
  }

  override dispose(): void {
    this.view?.destroy();
    super.dispose();
  }

  private async read() {
    const { contents, serverSettings } = this.app.serviceManager;
    const url = await contents.getDownloadUrl(this.path);
    const source = await openUrl(url, (address, headers) =>
      ServerConnection.makeRequest(address, { headers, cache: 'no-store' }, serverSettings),
    );
    const entries = await readDirectory(source);
    const entry = entryOf(entries, 'config.json');
    if (!entry) throw new FileError("This is no .keras file: it has no 'config.json'.");
    const model = parseModel(await readText(source, entry, MOST_CONFIG));
    const about = entryOf(entries, 'metadata.json');
    const facts: FileFacts = { bytes: source.size, keras: '', saved: '' };
    try {
      const told = about ? JSON.parse(await readText(source, about, MOST_METADATA)) : {};
      if (typeof told.keras_version === 'string') facts.keras = told.keras_version;
      if (typeof told.date_saved === 'string') facts.saved = told.date_saved;
    } catch {
      // A model without readable metadata is still a model.
    }
    return { model, facts };
  }

  private say(text: string): void {
    const message = document.createElement('p');
    message.className = 'paoding-viewer-message';
    message.setAttribute('role', 'status');
    message.textContent = text;
    this.node.replaceChildren(message);
  }
}

class ViewerFactory extends ABCWidgetFactory<DocumentWidget> {
  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly trans: TranslationBundle,
    options: DocumentRegistry.IWidgetFactoryOptions,
  ) {
    super(options);
    this.contentProviderId = PROVIDER;
  }

  protected override createNewWidget(context: DocumentRegistry.Context): DocumentWidget {
    const content = new ModelPanel(this.app, context.path, this.trans);
    const widget = new DocumentWidget({ content, context });
    widget.title.icon = pruneIcon;
    context.fileChanged.connect(() => void content.load());
    return widget;
  }
}

export async function activate(app: JupyterFrontEnd): Promise<void> {
  const drive = await app.resolveOptionalService(IDefaultDrive);
  const browser = await app.resolveOptionalService(IDefaultFileBrowser);
  const trans = await translation(app);
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
  // Their weights are not read here yet: only the context menu needs to know them.
  if (!app.docRegistry.getFileType(HDF5)) {
    app.docRegistry.addFileType({
      name: HDF5,
      displayName: trans.__('HDF5 File'),
      extensions: ['.h5', '.hdf5'],
      fileFormat: 'base64',
      contentType: 'file',
    });
  }
  app.docRegistry.addWidgetFactory(
    new ViewerFactory(app, trans, {
      name: 'Keras Model',
      label: trans.__('Keras Model'),
      modelName: 'text',
      fileTypes: [FILE_TYPE],
      defaultFor: [FILE_TYPE],
      readOnly: true,
    }) as DocumentRegistry.WidgetFactory,
  );
  app.commands.addCommand(PRUNE_IN_NOTEBOOK, {
    label: trans.__('Prune in a Notebook'),
    icon: pruneIcon,
    describedBy: { args: { type: 'object', properties: {} } },
    isVisible: () => selected(browser) !== null,
    execute: async () => {
      const path = selected(browser);
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

/** The model file that is selected in the file browser, or null. */
function selected(browser: IDefaultFileBrowser | null): string | null {
  const item = browser?.selectedItems().next().value;
  return item && /\.(keras|h5|hdf5)$/i.test(PathExt.basename(item.path)) ? item.path : null;
}

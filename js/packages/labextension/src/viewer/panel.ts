/** The tab of one model file: it is read, shown, and read again when it changes. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';
import { element } from '@paoding/core';
import { FileError } from '@paoding/core/keras';
import { Reader } from '../reader/reader';
import type { Settings } from '../settings';
import { ArraysView } from './arrays';
import { ModelView } from './view';

/** What the tab does that needs the page around it. */
export interface Deeds {
  prune(): void;
  /** A link to a layer, for a notebook's text. */
  link(layer: string): string;
}

export class ModelPanel extends Widget {
  private view: ModelView | ArraysView | null = null;
  private reader: Reader | null = null;
  /** Counts the readings, so that an older one never replaces a newer. */
  private reading = 0;

  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly path: string,
    private readonly trans: TranslationBundle,
    private readonly settings: () => Settings,
    private readonly deeds: Deeds,
    private fragment: string,
  ) {
    super();
    this.addClass('paoding-viewer-host');
    void this.load();
  }

  /** Reads the file anew, such as after it has changed. */
  async load(): Promise<void> {
    const turn = ++this.reading;
    if (!this.view) this.say(this.trans.__('Reading the model ...'));
    try {
      const { reader, file } = await Reader.open(this.app, this.path);
      if (this.isDisposed || turn !== this.reading) {
        reader.close();
        return;
      }
      this.leave();
      this.reader = reader;
      this.view =
        file.model === null
          ? new ArraysView(file, reader, this.trans)
          : new ModelView(file.model, file, reader, this.trans, this.settings(), this.deeds);
      this.node.replaceChildren(this.view.root);
      this.reveal(this.fragment);
    } catch (error) {
      if (this.isDisposed || turn !== this.reading) return;
      this.leave();
      this.say(sentence(error, this.trans));
    }
  }

  /** Goes to a layer by its name. */
  reveal(fragment: string): void {
    this.fragment = fragment;
    if (fragment && this.view instanceof ModelView) this.view.show(fragment);
  }

  override dispose(): void {
    this.leave();
    super.dispose();
  }

  private leave(): void {
    if (this.view instanceof ModelView) this.view.destroy();
    this.reader?.close();
    this.view = null;
    this.reader = null;
  }

  private say(text: string): void {
    const message = element('p', { class: 'paoding-viewer-message', role: 'status' }, text);
    this.node.replaceChildren(message);
  }
}

/** What went wrong, in the reader's language where it is a thing that files do. */
export function sentence(error: unknown, trans: TranslationBundle): string {
  if (error instanceof FileError) return trans.__(error.template, ...error.values);
  const what = error instanceof Error ? error.message : String(error);
  return trans.__('The file could not be read: %1', what);
}

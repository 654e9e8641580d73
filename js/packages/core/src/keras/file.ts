/** A model file of any kind that Keras writes, told apart by its content, read in parts. */

import { type ByteSource, entryOf, FileError, readDirectory, readText, stored } from './archive';
import { Hdf5File } from './hdf5';
import { type KerasModel, parseModel } from './model';
import {
  datasetsBelow,
  filtersOf,
  layerWeights,
  type Slice,
  type Statistics,
  sliceOf,
  statisticsOf,
  valuesOf,
  type WeightInfo,
} from './weights';

/** What a page needs of a layer; its configuration is asked for when it is shown. */
export type LayerFacts = Omit<KerasModel['layers'][number], 'config' | 'place'>;

export interface Opened {
  kind: 'keras' | 'hdf5' | 'weights';
  model: (Omit<KerasModel, 'layers' | 'compile'> & { layers: LayerFacts[] }) | null;
  /** Names and values that the file tells of itself: texts, never HTML. */
  facts: [string, string][];
  /** How the model was trained, as the file tells it: JSON, or an empty text. */
  training: string;
  bytes: number;
  /** In a file without a model: its arrays. */
  arrays: WeightInfo[];
}

/** The configuration of the largest known models has a few MB. */
const MOST_CONFIG = 64 << 20;
const MOST_METADATA = 1 << 20;
const MOST_FACTS = 40;
const MOST_TEXT = 20_000;

export class ModelFile {
  private weightsFile: Promise<Hdf5File> | null = null;

  private constructor(
    readonly opened: Opened,
    private readonly model: KerasModel | null,
    private readonly openWeights: () => Promise<Hdf5File>,
  ) {}

  static async open(source: ByteSource): Promise<ModelFile> {
    const head = await source.read(0, Math.min(8, source.size));
    return head[0] === 0x89 && head[1] === 0x48 ? openHdf5(source) : openArchive(source);
  }

  static make(
    kind: Opened['kind'],
    model: KerasModel | null,
    told: { facts: [string, string][]; bytes: number; arrays: WeightInfo[] },
    openWeights: () => Promise<Hdf5File>,
  ): ModelFile {
    const training = model?.compile
      ? JSON.stringify(model.compile, null, 2).slice(0, MOST_TEXT)
      : '';
    const shown = model && {
      ...model,
      compile: undefined,
      layers: model.layers.map(({ config, place, ...facts }) => facts),
    };
    return new ModelFile({ kind, model: shown, training, ...told }, model, openWeights);
  }

  /** A layer's configuration as text, cut where it is very long. */
  configuration(layer: number): string {
    return JSON.stringify(this.model?.layers[layer]?.config ?? {}, null, 2).slice(0, MOST_TEXT);
  }

  async weights(layer: number): Promise<WeightInfo[]> {
    const of = this.model?.layers[layer];
    return of ? layerWeights(await this.hdf5(), of) : [];
  }

  async statistics(address: number): Promise<Statistics> {
    return statisticsOf(await this.hdf5(), address);
  }

  async slice(address: number, at: number[]): Promise<Slice> {
    return sliceOf(await this.hdf5(), address, at);
  }

  async filters(address: number): Promise<Slice[]> {
    return filtersOf(await this.hdf5(), address);
  }

  async values(address: number): Promise<Float64Array> {
    return valuesOf(await this.hdf5(), address);
  }

  private hdf5(): Promise<Hdf5File> {
    this.weightsFile ??= this.openWeights();
    return this.weightsFile;
  }
}

async function openArchive(source: ByteSource): Promise<ModelFile> {
  const entries = await readDirectory(source);
  const entry = entryOf(entries, 'config.json');
  if (!entry) throw new FileError("This is no .keras file: it has no 'config.json'.");
  const model = parseModel(await readText(source, entry, MOST_CONFIG));
  const about = entryOf(entries, 'metadata.json');
  const metadata = about ? await readText(source, about, MOST_METADATA).catch(() => '') : '';
  const told = { facts: factsOf(metadata), bytes: source.size, arrays: [] };
  return ModelFile.make('keras', model, told, async () => {
    const weights = entryOf(entries, 'model.weights.h5');
    if (!weights) throw new FileError('The file holds no weights.');
    return Hdf5File.open(await stored(source, weights));
  });
}

/** What `metadata.json` says, as texts; a model without readable metadata is still a model. */
function factsOf(json: string): [string, string][] {
  try {
    return Object.entries(JSON.parse(json) as Record<string, unknown>)
      .slice(0, MOST_FACTS)
      .map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]);
  } catch {
    return [];
  }
}

async function openHdf5(source: ByteSource): Promise<ModelFile> {
  const file = await Hdf5File.open(source);
  const root = await file.object(file.root);
  const texts = await file.texts(root);
  const config = texts.get('model_config');
  const training = texts.get('training_config');
  const known = [...texts].filter(([name]) => !/_config$/.test(name)).slice(0, MOST_FACTS);
  const facts = known.map(([name, text]): [string, string] => [name, text.slice(0, 200)]);
  const open = async () => file;
  if (config === undefined) {
    const arrays = await datasetsBelow(file, root);
    if (arrays.length === 0)
      throw new FileError('This HDF5 file holds neither a model nor numbers.');
    return ModelFile.make('weights', null, { facts, bytes: source.size, arrays }, open);
  }
  const model = parseModel(config);
  if (training !== undefined && model.compile === null) model.compile = parsed(training);
  return ModelFile.make('hdf5', model, { facts, bytes: source.size, arrays: [] }, open);
}

function parsed(json: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' ? (value as Record<string, unknown> | null) : null;
  } catch {
    return null;
  }
}

/** Everything that a front end needs to show a model's structure. */

export { attributeFacts } from './attributes';
export { element, OWN_KEYS, svg } from './dom';
export type { RawFilters } from './filters';
export { countBins, drawBins, drawHistogram } from './histogram';
export { layoutScene } from './layout';
export { search } from './navigate';
export { savePng, saveSvg } from './save';
export { plain, type Say } from './say';
export * from './scene';
export { type Column, DataTable, type TableOptions } from './table';
export { readTheme, type Theme } from './theme';
export { type StructureOptions, StructureView } from './view';

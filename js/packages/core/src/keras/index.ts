/** Keras model files, read in the browser: nothing in them is run, and no kernel is needed. */
export * from './archive';
export * from './compare';
export * from './drawn';
export * from './file';
export { Hdf5File } from './hdf5';
export * from './model';
export { parametersOf, type Shape } from './parameters';
export * from './run';
export type { Slice, Statistics, WeightInfo } from './weights';

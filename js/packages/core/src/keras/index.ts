/** Keras model files, read in the browser: nothing in them is run, and no kernel is needed. */
export * from './archive';
export * from './model';
export { parametersOf, type Shape } from './parameters';

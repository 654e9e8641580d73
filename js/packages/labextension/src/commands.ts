/** Names of the commands; they are a promise to those who bind keys to them. */
export const NEW_NOTEBOOK = 'paoding:new-notebook';
export const OPEN_LESSON = 'paoding:open-lesson';
export const PRUNE_IN_NOTEBOOK = 'paoding:prune-in-notebook';
export const OPEN_STUDIO = 'paoding:open-studio';
export const MOVE_BESIDE = 'paoding:move-beside';
export const COMPARE = 'paoding:compare';
export const OPEN_RUN = 'paoding:open-run';

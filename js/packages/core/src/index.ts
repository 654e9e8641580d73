/** The model structure and how it is drawn, for every front end. */
export {};

/** Class of work: background work never makes interactive work wait. */
export type Priority = 'interactive' | 'background';

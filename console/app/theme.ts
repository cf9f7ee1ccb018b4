import { createStore } from '../ui/store.js';

/** Colours of the console: the system's, or a choice. */
export type Theme = 'system' | 'light' | 'dark';

const THEMES: readonly Theme[] = ['system', 'light', 'dark'];
const KEY = 'preamble.theme';

/** The theme in use. It is kept for this browser. */
export const theme = createStore<Theme>(readTheme());

/** Shows the page in its theme, now and after each change. */
export function applyTheme(): void {
  const apply = (): void => {
    const chosen = theme.get();
    if (chosen === 'system') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = chosen;
    localStorage.setItem(KEY, chosen);
  };
  theme.subscribe(apply);
  apply();
}

/** Goes on to the next theme: system, light, dark. */
export function nextTheme(): void {
  theme.set(THEMES[(THEMES.indexOf(theme.get()) + 1) % THEMES.length] ?? 'system');
}

function readTheme(): Theme {
  const kept = localStorage.getItem(KEY);
  return THEMES.find((one) => one === kept) ?? 'system';
}

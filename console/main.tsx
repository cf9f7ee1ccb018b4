import { render } from 'preact';

import { App } from './app/app.js';
import { applyTheme } from './app/theme.js';

const place = document.getElementById('app');
if (place === null) throw new Error('the page has no place for the console');
applyTheme();
render(<App />, place);

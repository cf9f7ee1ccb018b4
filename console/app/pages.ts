import type { ComponentType } from 'preact';

/** A page of the console. */
interface PageEntry {
  /** Its name in the address. */
  readonly name: string;
  readonly title: string;
  /** Whether it is the operator's, so that a tenant's key is not enough. */
  readonly isOperators?: boolean;
  /** Whether a server without keys shows it to everybody. */
  readonly isOpenWithoutKeys?: boolean;
  /** Loads its script. */
  load(): Promise<{ default: ComponentType }>;
}

/** The pages, in the order of the navigation. Each is loaded when it is opened first. */
export const PAGES: readonly PageEntry[] = [
  { name: 'playground', title: 'Playground', load: () => import('../playground/page.js') },
  { name: 'prefixes', title: 'Prefixes', load: () => import('../prefixes/page.js') },
  { name: 'training', title: 'Training', load: () => import('../training/page.js') },
  { name: 'batches', title: 'Batches', load: () => import('../batches/page.js') },
  {
    name: 'engine',
    title: 'Engine',
    isOperators: true,
    isOpenWithoutKeys: true,
    load: () => import('../engine/page.js'),
  },
  { name: 'tenants', title: 'Tenants', isOperators: true, load: () => import('../tenants/page.js') },
];

/** Where a Redis is, and how a connection to it is made. */
export interface RedisOptions {
  /** `redis://` or `rediss://`, with user, password and database number where they are needed. */
  readonly url: string;
  /** For `rediss://` only. */
  readonly tls?: RedisTls | undefined;
}

/** How the two sides of a TLS connection know each other. All members are PEM. */
export interface RedisTls {
  /** Authorities that are trusted instead of those that Node.js trusts. */
  readonly ca?: string | undefined;
  /** The client's certificate, and the chain above it if there is one. */
  readonly cert?: string | undefined;
  /** Key of `cert`. */
  readonly key?: string | undefined;
}

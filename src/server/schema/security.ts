/** `security` of an operation that needs no key. */
export const needsNoKey = [];

/** `security` of the operator's routes. All others need a tenant's key, where there are any: see `openapi`. */
export const needsAdminKey = [{ adminKey: [] }];

type Defined<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** The same settings without those that are `undefined`: many readers tell an undefined setting from an absent one. */
export const withoutUndefined = <T extends object>(settings: T): Defined<T> =>
  Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as Defined<T>;

/** The variables that a connection's credentials may name. Printing and JSON leave their values out. */

export type Variables = Readonly<Record<string, string | undefined>>

export class ConnectionEnvironment {
  readonly #variables: Variables

  constructor(variables: Variables) {
    this.#variables = variables
  }

  /** A copy. */
  variables(): Record<string, string | undefined> {
    return { ...this.#variables }
  }

  toJSON(): string {
    return '<environment>'
  }
}

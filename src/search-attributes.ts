/** What builds can be searched by in Temporal, where a server knows these attributes: they are optional everywhere. Pure. */

/** As the server's API counts types. */
const KEYWORD = 2
const INT = 3

export interface SearchAttribute {
  name: string
  /** As the workflow's API calls it; the command line's spelling has one capital letter. */
  type: 'KEYWORD' | 'INT'
  code: number
}

export const SEARCH_ATTRIBUTES = {
  project: { name: 'MillraceProject', type: 'KEYWORD', code: KEYWORD },
  environment: { name: 'MillraceEnvironment', type: 'KEYWORD', code: KEYWORD },
  status: { name: 'MillraceStatus', type: 'KEYWORD', code: KEYWORD },
  modelsFailed: { name: 'MillraceModelsFailed', type: 'INT', code: INT },
} as const satisfies Record<string, SearchAttribute>

/** `Keyword`, as the Temporal CLI spells it. */
export function cliType({ type }: SearchAttribute): string {
  return `${type.slice(0, 1)}${type.slice(1).toLowerCase()}`
}

export interface AttributeGap {
  /** Not registered. */
  missing: SearchAttribute[]
  /** Registered under their names, with another type: of no use to builds. */
  foreign: SearchAttribute[]
}

/** @param registered the server's custom attributes: name → type, as its API counts them. */
export function attributeGap(registered: Readonly<Record<string, unknown>>): AttributeGap {
  const all: SearchAttribute[] = Object.values(SEARCH_ATTRIBUTES)
  const missing = all.filter(({ name }) => !(name in registered))
  return { missing, foreign: all.filter((one) => !missing.includes(one) && registered[one.name] !== one.code) }
}

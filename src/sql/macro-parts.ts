/** What the text of models and audits is made of: text, and the macros in it. Pure. */
import { MillraceError } from '../errors.ts'

/** Where a text starts in the project's files; lines count from 1. */
export interface TextPlace {
  file: string
  line: number
}

/** Where in the file of `place` something is; lines and columns count from 1. */
export interface Position {
  line: number
  column: number
}

/** Text, or a variable in it. A `loose` one stays as `written` when there is no such variable: "me@home". */
export type TemplatePiece = string | { variable: string; written: string; loose: boolean }

/** What the grammar expects where a variable stands: `name` after `AS` and beside a dot, `list` after `IN`. */
export type MacroPosition = 'value' | 'name' | 'list'

/** `x -> body` or `(x, y) -> body`, given to a macro function. */
export interface Lambda {
  /** Lower case. */
  params: string[]
  body: MacroPart[]
}

export interface MacroArgument extends Position {
  /** Lower case; null for a positional argument. */
  name: string | null
  /** As written. */
  text: string
  /** Of a lambda: none. */
  parts: MacroPart[]
  lambda: Lambda | null
}

export type MacroPart =
  | { type: 'text'; text: string }
  | ({ type: 'variable'; name: string; position: MacroPosition } & Position)
  /** `quote`: how the result is written; null is an unquoted name. */
  | ({ type: 'template'; pieces: TemplatePiece[]; quote: '"' | "'" | null } & Position)
  | ({ type: 'call'; name: string; args: MacroArgument[]; position: MacroPosition } & Position)
  /** `@WHERE(condition) …`: `keyword` and `body` where the condition holds. `prefix` of a JOIN: `LEFT OUTER `. */
  | ({ type: 'clause'; keyword: string; prefix: string; condition: MacroArgument; body: MacroPart[] } & Position)
  | ({ type: 'jinja' } & Position)

export type Template = Extract<MacroPart, { type: 'template' }>
export type Call = Extract<MacroPart, { type: 'call' }>
export type Clause = Extract<MacroPart, { type: 'clause' }>

/** `line` and `column` count in the file of `place`. */
export interface Where {
  place: TextPlace | null
  line: number
  column?: number
}

export function macroError(message: string, where: Where, hint?: string): MillraceError {
  return new MillraceError('MACRO', message, { ...toLocation(where), ...(hint === undefined ? {} : { hint }) })
}

export function notYetError(message: string, where: Where): MillraceError {
  return new MillraceError('NOT_YET', message, toLocation(where))
}

export function toLocation({ place, line, column }: Where): { file?: string; line: number; column?: number } {
  const position = column === undefined ? { line } : { line, column }
  return place === null ? position : { file: place.file, ...position }
}

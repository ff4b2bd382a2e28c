/** A query whose "now" stands still: what asks for the time or the day becomes a literal. Pure. */
import { isToken, tokenize, type Token } from './lexer.ts'
import { quoteString } from './identifiers.ts'

/** Words that are "now" without brackets, and may have empty ones. */
const WORDS: ReadonlyMap<string, string> = new Map([
  ['current_date', 'DATE'],
  ['current_time', 'TIMETZ'],
  ['current_timestamp', 'TIMESTAMPTZ'],
  ['localtime', 'TIME'],
  ['localtimestamp', 'TIMESTAMP'],
])
/** Functions that are "now" only when they are called. */
const CALLS: ReadonlyMap<string, string> = new Map([
  ['now', 'TIMESTAMPTZ'],
  ['get_current_timestamp', 'TIMESTAMPTZ'],
  ['transaction_timestamp', 'TIMESTAMPTZ'],
  ['today', 'DATE'],
  ['get_current_time', 'TIMETZ'],
  ['current_localtime', 'TIME'],
  ['current_localtimestamp', 'TIMESTAMP'],
])

/** @param nowMs epoch ms; it is written in UTC. */
export function freezeTime(sql: string, nowMs: number): string {
  const tokens = tokenize(sql).filter((token) => token.type !== 'comment')
  let result = ''
  let position = 0
  for (const [index, token] of tokens.entries()) {
    const found = timeAt(tokens, index)
    if (found === null) continue
    result += sql.slice(position, token.start) + literal(found.type, nowMs)
    position = found.end
  }
  return result + sql.slice(position)
}

/** Null for a column or an alias of such a name. */
function timeAt(tokens: readonly Token[], index: number): { type: string; end: number } | null {
  const [before, token, open, close] = [tokens[index - 1], tokens[index], tokens[index + 1], tokens[index + 2]]
  if (token?.type !== 'word' || isToken(before, '.') || isToken(before, 'AS') || isToken(open, '.')) return null
  const name = token.value.toLowerCase()
  const called = isToken(open, '(') && isToken(close, ')')
  const type = WORDS.get(name) ?? (called ? CALLS.get(name) : undefined)
  if (type === undefined) return null
  return { type, end: called ? (close?.end ?? token.end) : token.end }
}

function literal(type: string, nowMs: number): string {
  const [date = '', time = ''] = new Date(nowMs).toISOString().replace('Z', '').split('T')
  const text = { DATE: date, TIME: time, TIMETZ: `${time}+00`, TIMESTAMP: `${date} ${time}` }[type]
  return `CAST(${quoteString(text ?? `${date} ${time}+00`)} AS ${type})`
}

/** `@name`, `@{name}` and `@VAR('name'[, default])` in a header → what the user's variables say. */
import { MillraceError, nearest } from '../../errors.ts'
import { isToken, type Token } from '../../sql/lexer.ts'
import { quoteIdentifier, quoteString } from '../../sql/identifiers.ts'
import { closingIndex, splitAtCommas } from './brackets.ts'
import type { HeaderSource } from './header-source.ts'
import type { HeaderValue } from './properties.ts'

/**
 * The value with its variables replaced. Text becomes a string, or parts of a name with `as: 'identifier'`; `@{name}`
 * pastes the text into the word it touches. Plain strings are not searched.
 * @throws MillraceError MACRO for an unknown variable, NOT_YET for a macro function.
 */
export function substituteVariables(value: HeaderValue, as: 'string' | 'identifier'): HeaderValue {
  const { source, tokens } = value
  if (!tokens.some((token) => token.type === 'macro' || token.text.includes('@{'))) return value
  const result: Token[] = []
  for (let index = 0; index < tokens.length; index++) {
    const token = tokens[index]
    if (token === undefined) break
    if (isToken(token, '@{') && tokens[index + 1]?.type === 'word' && isToken(tokens[index + 2], '}')) {
      const text = String(lookUp(source, tokens[index + 1] ?? token, value.key))
      paste(result, { ...token, type: 'word', text, value: text, end: tokens[index + 2]?.end ?? token.end })
      index += 2
    } else if (token.type === 'macro' && isToken(tokens[index + 1], '(')) {
      const close = closingIndex(tokens, index + 1)
      const found = callVar(value, token, close === -1 ? [] : tokens.slice(index + 2, close))
      result.push(...found.map((part) => ({ ...part, start: token.start, end: tokens[close]?.end ?? part.end })))
      index = close === -1 ? tokens.length : close
    } else if (token.type === 'macro') {
      result.push(...toTokens(token, lookUp(source, token, value.key), as))
    } else if (token.type === 'quoted') {
      const text = token.value.replace(/@\{\s*(\w+)\s*\}/g, (_, name: string) =>
        String(lookUp(source, { ...token, value: name }, value.key)),
      )
      paste(result, { ...token, value: text, text: quoteIdentifier(text) })
    } else paste(result, token)
  }
  return { ...value, tokens: result }
}

/** Words that touch become one when a variable is pasted between them, as in `a_@{x}`; the lexer never leaves two. */
function paste(result: Token[], token: Token): void {
  const last = result.at(-1)
  const joins = last?.type === 'word' && last.end === token.start && (token.type === 'word' || token.type === 'number')
  if (!joins || last === undefined) {
    result.push(token)
    return
  }
  const text = last.text + token.text
  result[result.length - 1] = { ...last, text, value: text, end: token.end }
}

function callVar(value: HeaderValue, macro: Token, args: readonly Token[]): Token[] {
  const { source } = value
  if (macro.value.toUpperCase() !== 'VAR') {
    throw new MillraceError('NOT_YET', `the macro function @${macro.value} in a header is not supported yet`, {
      ...source.place(macro),
      hint: `write the value of '${value.key}', or a variable as @name`,
    })
  }
  const [name, fallback] = splitAtCommas(args)
  const [nameToken] = name ?? []
  if (nameToken === undefined || name?.length !== 1 || !['string', 'word'].includes(nameToken.type)) {
    throw new MillraceError('MACRO', "expected @VAR('name') or @VAR('name', default)", source.place(macro))
  }
  const found = find(source, nameToken.value)
  if (found !== undefined) return toTokens(macro, found, 'string')
  return fallback ?? toTokens(macro, null, 'string')
}

function lookUp(source: HeaderSource, name: Token, key: string): unknown {
  const found = find(source, name.value)
  if (found !== undefined) return found
  const near = nearest(name.value, Object.keys(source.variables))
  const hint =
    key === 'cron' || key === 'auto_restatement_cron'
      ? `quote it: ${key} '@${name.value}'`
      : `${near === null ? '' : `Did you mean '${near}'? `}Variables are declared under variables: in the config file`
  throw new MillraceError('MACRO', `expected a variable of the project; '@${name.value}' is undefined`, {
    ...source.place(name),
    hint,
  })
}

function find(source: HeaderSource, name: string): unknown {
  const wanted = name.toLowerCase()
  return Object.entries(source.variables).find(([key]) => key.toLowerCase() === wanted)?.[1]
}

function toTokens(at: Token, value: unknown, as: 'string' | 'identifier'): Token[] {
  if (Array.isArray(value)) {
    const elements = value.flatMap((element, index) => [
      ...(index === 0 ? [] : [operator(at, ',')]),
      ...toTokens(at, element, as),
    ])
    return [operator(at, '('), ...elements, operator(at, ')')]
  }
  if (typeof value === 'number') return [{ ...at, type: 'number', text: String(value), value: String(value) }]
  if (typeof value === 'boolean' || value === null) {
    const text = String(value).toUpperCase()
    return [{ ...at, type: 'word', text, value: text }]
  }
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  if (as === 'string') return [{ ...at, type: 'string', text: quoteString(text), value: text }]
  return text
    .split('.')
    .flatMap((part, index): Token[] => [
      ...(index === 0 ? [] : [operator(at, '.')]),
      { ...at, type: 'quoted', text: quoteIdentifier(part), value: part },
    ])
}

function operator(at: Token, text: string): Token {
  return { ...at, type: 'operator', text, value: text }
}

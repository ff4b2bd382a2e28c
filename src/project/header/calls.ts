/** Calls in a header: `audits (not_null(columns := (a)), …)`. */
import { isToken } from '../../sql/lexer.ts'
import type { AuditCall } from '../model.ts'
import { closingIndex, splitAtCommas } from './brackets.ts'
import { headerProblem } from './header-source.ts'
import type { HeaderValue } from './properties.ts'
import { readBoolean, readElements, textOf } from './values.ts'
import { substituteVariables } from './variables.ts'

/** The audits a model calls, in order. Names and argument names are lower case; arguments stay SQL text as written. */
export function readAuditCalls(value: HeaderValue): AuditCall[] {
  return readElements(value).map(readAuditCall)
}

function readAuditCall(value: HeaderValue): AuditCall {
  const { source } = value
  const [name, open] = value.tokens
  if (name === undefined || (name.type !== 'word' && name.type !== 'quoted' && name.type !== 'string')) {
    throw headerProblem(source, name ?? value.at, `expected the name of an audit; got '${name?.text ?? ''}'`)
  }
  const call: AuditCall = {
    name: name.value.toLowerCase(),
    args: {},
    blocking: null,
    line: source.place(name).line ?? value.at.line,
  }
  if (open === undefined) return call
  if (!isToken(open, '(') || closingIndex(value.tokens, 1) !== value.tokens.length - 1) {
    const got = textOf(source, value.tokens)
    throw headerProblem(
      source,
      open,
      `expected name(argument := value, …) as an audit; got '${got}'`,
      'separate audits by commas',
    )
  }
  for (const part of splitAtCommas(value.tokens.slice(2, -1))) {
    const [key, sign, ...tokens] = part
    if (key?.type !== 'word' || !(isToken(sign, ':=') || isToken(sign, '=')) || tokens.length === 0) {
      const hint = `write ${call.name}(argument := value)`
      const got = textOf(source, part)
      throw headerProblem(
        source,
        key ?? open,
        `expected argument := value in the audit '${call.name}'; got '${got}'`,
        hint,
      )
    }
    const argument = key.value.toLowerCase()
    if (argument === 'blocking' || argument === 'keep_failures') {
      call[argument] = readBoolean(substituteVariables({ source, key: argument, at: key, tokens }, 'string'))
    } else if (Object.hasOwn(call.args, argument)) {
      throw headerProblem(
        source,
        key,
        `expected the argument '${argument}' of '${call.name}' once; it is written twice`,
      )
    } else call.args[argument] = textOf(source, tokens)
  }
  return call
}

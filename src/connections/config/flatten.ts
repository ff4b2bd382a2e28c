/** Nested values as one level of names and texts: what keys are made of and differences are told in. */
import { CredentialReference } from './credential-reference.ts'
import { isSecretName, SECRET, withoutSecrets } from './secret-text.ts'

/** Name with dots → the value as JSON; sorted by name. What has no value is left out. */
export type Canonical = Readonly<Record<string, string>>

/**
 * The order of keys at any depth means nothing, that of lists does. Credentials are shown by their identity; text under a
 * name such as `password`, and passwords within texts, are left out. Takes any value of any depth, also one that contains
 * itself or cannot be JSON. Never throws.
 */
export function flatten(root: Readonly<Record<string, unknown>>): Canonical {
  const found: [string, string][] = []
  const above = new Set<unknown>()
  // Not recursive: a configuration may be nested deeper than the call stack.
  const stack: Visit[] = [{ path: '', name: '', value: root, isEnd: false }]
  for (let visit = stack.pop(); visit !== undefined; visit = stack.pop()) {
    const { path, value, isEnd } = visit
    if (isEnd) above.delete(value)
    else if (above.has(value)) found.push([path, '<circular>'])
    else {
      try {
        const text = wholeText(visit)
        if (text === null) {
          const inside = parts(visit)
          above.add(value)
          stack.push({ ...visit, isEnd: true })
          for (const part of inside) stack.push(part)
        } else if (text !== NOTHING) found.push([path, text])
      } catch {
        // A getter that throws, a revoked proxy.
        found.push([path, '<unreadable>'])
      }
    }
  }
  return Object.fromEntries(found.sort(([a], [b]) => (a < b ? -1 : 1)))
}

interface Visit {
  path: string
  /** The nearest key, which says whether text is a secret. */
  name: string
  value: unknown
  /** Everything within the value has been seen. */
  isEnd: boolean
}

const NOTHING = 'null'

/** A value in one text: a scalar, a list of scalars, something empty; null for what is told part by part. */
function wholeText({ path, name, value }: Visit): string | null {
  const text = scalarText(value, name)
  if (text !== null || path === '') return text
  const items = itemsOf(value).map(([, item]) => scalarText(item, name))
  if (Array.isArray(value)) return items.every((item) => item !== null) ? `[${items.join(',')}]` : null
  return items.length === 0 ? '{}' : null
}

function parts({ path, name, value }: Visit): Visit[] {
  if (Array.isArray(value)) {
    return itemsOf(value).map(([key, item]) => ({ path: `${path}[${key}]`, name, value: item, isEnd: false }))
  }
  const prefix = path === '' ? '' : `${path}.`
  return itemsOf(value).map(([key, item]) => ({ path: prefix + segment(key), name: key, value: item, isEnd: false }))
}

/** JSON; null for what has parts of its own. */
function scalarText(value: unknown, name: string): string | null {
  if (value === undefined || value === null) return NOTHING
  if (typeof value === 'string') return JSON.stringify(isSecretName(name) ? SECRET : withoutSecrets(value))
  if (typeof value === 'object') {
    if (value instanceof CredentialReference) return JSON.stringify(value.identity)
    return value instanceof Date ? `<date ${value.getTime()}>` : null
  }
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (typeof value === 'bigint') return `${value}n`
  return typeof value === 'function' ? `<function ${value.name}>` : '<symbol>'
}

function itemsOf(value: unknown): (readonly [string, unknown])[] {
  if (typeof value !== 'object' || value === null) return []
  if (value instanceof Map) return [...value].map(([key, item]) => [String(key), item] as const)
  if (value instanceof Set) return [...value].map((item: unknown, index) => [String(index), item] as const)
  return Array.isArray(value)
    ? Array.from(value, (item: unknown, index) => [String(index), item] as const)
    : Object.entries(value).filter(([, item]) => item !== undefined && item !== null)
}

/** Quoted where a dot or bracket of its own would make two structures one. */
function segment(key: string): string {
  return /^[\w-]+$/.test(key) ? key : JSON.stringify(key)
}

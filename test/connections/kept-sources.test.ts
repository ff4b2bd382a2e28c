import { describe, expect, test } from 'vitest'
import { parseConnection, type QuackConfig } from '../../src/connections/config.ts'
import { createKeptSources, type KeptSources } from '../../src/connections/databases/kept-sources.ts'
import type { TokenSource } from '../../src/connections/credentials/token-source.ts'

function parse(raw: Record<string, unknown>): QuackConfig {
  return parseConnection({ type: 'quack', uri: 'quack:db', ...raw }, { root: '/p', env: { A: 'a' } }) as QuackConfig
}

function ask(sources: KeptSources, raw: Record<string, unknown>, tenant = ''): TokenSource {
  const config = parse(raw)
  if (config.token === null) throw new Error('expected a token')
  return sources.of(config, config.token, tenant)
}

describe('the source of a configuration’s tokens', () => {
  test('is the same for equal configurations', () => {
    const sources = createKeptSources()
    const one = ask(sources, { token: { env: 'A' } })
    expect(ask(sources, { token: { env: 'A' }, uri: 'quack://DB:9494' })).toBe(one)
    const literal = ask(sources, { token: 'secret' })
    expect(ask(sources, { token: 'secret' })).toBe(literal)
  })

  test('is another one for another credential, secret, server or tenant', () => {
    const sources = createKeptSources()
    const all = [
      ask(sources, { token: { env: 'A' } }),
      ask(sources, { token: { env: 'B' } }),
      ask(sources, { token: 'secret' }),
      ask(sources, { token: 'another secret' }),
      ask(sources, { token: { env: 'A' }, uri: 'quack:other' }),
      ask(sources, { token: { env: 'A' } }, 'tenant one'),
      ask(sources, { token: { env: 'A' } }, 'tenant two'),
    ]
    expect(new Set(all).size).toBe(all.length)
  })

  test('is forgotten when too many others were asked for since', () => {
    const sources = createKeptSources(2)
    const [a, b] = [ask(sources, { token: { env: 'A' } }), ask(sources, { token: { env: 'B' } })]
    expect(ask(sources, { token: { env: 'A' } })).toBe(a)
    ask(sources, { token: { env: 'C' } })
    expect(ask(sources, { token: { env: 'A' } })).toBe(a)
    expect(ask(sources, { token: { env: 'B' } })).not.toBe(b)
  })
})

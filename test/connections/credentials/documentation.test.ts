import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { credentialIdentity } from '../../../src/connections/credentials/credential-identity.ts'
import { parseCredential } from '../../../src/connections/credentials/credential.ts'

const page = readFileSync(new URL('../../../docs/credentials.md', import.meta.url), 'utf8')
const examples = [...page.matchAll(/```yaml\n(# credential: [^\n]*\n[^`]*)```/g)].map(([, text = '']) => text)

test('each documented shape is a credential, and all kinds are documented', () => {
  const credentials = examples.map((text) => parseCredential(parse(text), { root: '/project', name: 'token' }))
  expect(credentials.map(({ kind }) => kind).sort()).toEqual(['command', 'env', 'file', 'motherduck', 'oauth2'])
  for (const credential of credentials) expect(credentialIdentity(credential)).not.toBe('')
})

/** What a credential is known by, so that two tenants never share a connection and messages can name it. */
import { basename, dirname, join } from 'node:path'
import { canonicalPath } from '../canonical-path.ts'
import type { Credential, GetToken } from './credential.ts'

/** Never a secret nor a hash of one; equal for equal credentials. Two functions differ, whatever their names. */
export function credentialIdentity(credential: Credential): string {
  switch (credential.kind) {
    case 'env':
      return `env ${credential.variable}`
    case 'file':
      return `file ${fileIdentity(credential.path)}`
    case 'command':
      return `command ${JSON.stringify(credential.argv)} in ${canonicalPath(credential.folder)}`
    case 'oauth2': {
      const { tokenUrl, clientId, scope, audience } = credential
      const scopes = scope === null ? '' : `, scope ${JSON.stringify(scope.trim().split(/\s+/).sort().join(' '))}`
      const forWhom = audience === null ? '' : `, audience ${JSON.stringify(audience)}`
      return `oauth2 client ${JSON.stringify(clientId)} at ${new URL(tokenUrl).href}${scopes}${forWhom}`
    }
    case 'motherduck':
      return `motherduck service account ${JSON.stringify(credential.username)}`
    case 'function':
      return `function ${credential.getToken.name || '(anonymous)'} #${numberOf(credential.getToken)}`
    case 'literal':
      return 'a literal secret'
  }
}

/** The folder's real path only: a mounted secret is a link that is turned to another file at each rotation. */
function fileIdentity(path: string): string {
  return join(canonicalPath(dirname(path)), basename(path))
}

// The functions themselves are the identity; held weakly, so that forgotten ones go.
const numbers = new WeakMap<GetToken, number>()
let lastNumber = 0

function numberOf(getToken: GetToken): number {
  const known = numbers.get(getToken)
  if (known !== undefined) return known
  numbers.set(getToken, ++lastNumber)
  return lastNumber
}

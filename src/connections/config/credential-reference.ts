/** A credential within a configuration, told apart from every other value. */
import { credentialIdentity } from '../credentials/credential-identity.ts'
import { parseCredential, type Credential } from '../credentials/credential.ts'
import type { ConnectionContext } from './resolve-path.ts'

export class CredentialReference {
  readonly credential: Credential

  constructor(credential: Credential) {
    this.credential = credential
  }

  /** What the credential is known by; never its value. */
  get identity(): string {
    return credentialIdentity(this.credential)
  }

  toJSON(): string {
    return this.identity
  }
}

/** For canonical forms. */
export function toReference(credential: Credential | null): CredentialReference | null {
  return credential === null ? null : new CredentialReference(credential)
}

const FORMS: ReadonlySet<string> = new Set(['env', 'file', 'command', 'oauth2', 'motherduck'])

/** Whether a value is written as a credential rather than as plain text or data. */
export function isCredentialForm(value: unknown): boolean {
  if (typeof value === 'function') return true
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const [form, ...others] = Object.keys(value)
  return form !== undefined && others.length === 0 && FORMS.has(form)
}

/** @param key the credential's place. @throws MillraceError CONFIG */
export function readCredential(value: unknown, key: string, { root }: ConnectionContext): Credential {
  return parseCredential(value, { root, name: key })
}

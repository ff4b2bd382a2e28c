/** A server refused a credential that was obtained a while ago: the same work may succeed with a new one. */
export class CredentialRefused extends Error {
  constructor(cause: unknown) {
    const text = cause instanceof Error ? cause.message : String(cause)
    super(`a credential was refused: ${text.split('\n', 1)[0]}`, { cause })
    this.name = 'CredentialRefused'
  }
}

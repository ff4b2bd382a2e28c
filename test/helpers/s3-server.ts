/** A bucket on loopback whose sessions expire: a double of S3 that checks signatures and session tokens as the service does. */
import { createHash, createHmac } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { startHttpServer } from './http-server.ts'

export interface S3Server {
  /** `localhost:PORT`, for `endpoint`. */
  endpoint: string
  keyId: string
  secret: string
  /** A session that is good for this long. @returns its token. */
  issue(lifeMs: number): string
  /** As if all sessions had ended. */
  revokeAll(): void
  /** Objects by path, `/bucket/name`. */
  objects: Map<string, Buffer>
  /** Requests that were answered, and those that were not for their session. */
  answered: number
  expired: number
}

/** Ends with the test. @param delayMs before each object. */
export async function startS3Server({ delayMs = 0 }: { delayMs?: number } = {}): Promise<S3Server> {
  const keyId = 'AKIDTEST'
  const secret = 'a-secret-access-key'
  const sessions = new Map<string, number>()
  const objects = new Map<string, Buffer>()
  let issued = 0
  const server = { keyId, secret, objects, answered: 0, expired: 0, endpoint: '' }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const refuse = (status: number, code: string): void => {
      response.writeHead(status, { 'content-type': 'application/xml' })
      response.end(`<Error><Code>${code}</Code><Message>${code}</Message></Error>`)
    }
    if (!isSigned(request, keyId, secret)) return refuse(403, 'SignatureDoesNotMatch')
    if ((sessions.get(String(request.headers['x-amz-security-token'])) ?? 0) < Date.now()) {
      server.expired += 1
      return refuse(400, 'ExpiredToken')
    }
    const path = decodeURIComponent(new URL(request.url ?? '', 'http://s3').pathname)
    server.answered += 1
    if (request.method === 'PUT') {
      objects.set(path, Buffer.concat(chunks))
      response.writeHead(200, { etag: '"1"' })
      response.end()
      return
    }
    const object = objects.get(path)
    if (object === undefined) return refuse(404, 'NoSuchKey')
    if (delayMs > 0 && request.method === 'GET') await new Promise((resolve) => setTimeout(resolve, delayMs))
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? []
    const part = object.subarray(Number(from ?? 0), to === undefined || to === '' ? undefined : Number(to) + 1)
    response.writeHead(from === undefined ? 200 : 206, {
      'content-length': part.length,
      'accept-ranges': 'bytes',
      'last-modified': 'Mon, 01 Jan 2024 00:00:00 GMT',
      etag: '"1"',
      ...(from === undefined
        ? {}
        : { 'content-range': `bytes ${from}-${Number(from) + part.length - 1}/${object.length}` }),
    })
    response.end(request.method === 'HEAD' ? undefined : part)
  }

  const url = await startHttpServer((request, response) => void answer(request, response))
  server.endpoint = new URL(url).host
  return Object.assign(server, {
    issue: (lifeMs: number) => {
      issued += 1
      const token = `session-${issued}-secret`
      sessions.set(token, Date.now() + lifeMs)
      return token
    },
    revokeAll: () => sessions.clear(),
  })
}

/** AWS Signature Version 4: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html */
function isSigned(request: IncomingMessage, keyId: string, secret: string): boolean {
  const [, credential = '', names = '', given] =
    /Credential=([^,]+), *SignedHeaders=([^,]+), *Signature=(\w+)/.exec(request.headers.authorization ?? '') ?? []
  const [id, ...scope] = credential.split('/')
  if (id !== keyId) return false
  const url = new URL(request.url ?? '', 'http://s3')
  const canonical = [
    request.method,
    url.pathname,
    url.search.slice(1),
    ...names.split(';').map((name) => `${name}:${String(request.headers[name]).trim()}`),
    '',
    names,
    request.headers['x-amz-content-sha256'],
  ].join('\n')
  const toSign = [
    'AWS4-HMAC-SHA256',
    request.headers['x-amz-date'],
    scope.join('/'),
    createHash('sha256').update(canonical).digest('hex'),
  ].join('\n')
  let key: string | Buffer = `AWS4${secret}`
  for (const part of scope) key = createHmac('sha256', key).update(part).digest()
  return createHmac('sha256', key).update(toSign).digest('hex') === given
}

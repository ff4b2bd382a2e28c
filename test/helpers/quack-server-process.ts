/**
 * A Quack server until its standard input ends: `quack-server-process.ts FILE PORT EXTENSION_DIRECTORY [TOKEN]`. Lines of standard
 * input are JSON texts of SQL to run in it; each is answered by a line `{"rows": …}` or `{"error": …}`. Without a token, sessions
 * are let in by the table `auth.tokens`.
 */
import { createInterface } from 'node:readline'
import { DuckDBInstance } from '@duckdb/node-api'

const [file = '', port = '', extension_directory = '', token] = process.argv.slice(2)
const instance = await DuckDBInstance.create(file, { extension_directory })
const connection = await instance.connect()
// In a database of its own: sessions of the served one neither see it nor wait for it.
await connection.run(`LOAD httpfs; LOAD quack;
  ATTACH ':memory:' AS auth;
  CREATE TABLE auth.tokens (token VARCHAR, expires_at TIMESTAMPTZ);
  CREATE SEQUENCE auth.asked;
  CREATE MACRO auth.is_known(session, given, expected) AS
    nextval('auth.asked') > 0
    AND (CASE WHEN ${token === undefined} THEN given IN (FROM auth.tokens SELECT token WHERE expires_at > now()) ELSE given = expected END);
  SET GLOBAL quack_authentication_function = 'auth.main.is_known'`)
await connection.run(`CALL quack_serve('quack:localhost:${port}', token => '${token ?? crypto.randomUUID()}')`)
process.stdout.write('{"rows": []}\n')
for await (const line of createInterface({ input: process.stdin })) {
  try {
    const reader = await connection.runAndReadAll(JSON.parse(line) as string)
    process.stdout.write(`${JSON.stringify({ rows: reader.getRowObjectsJson() })}\n`)
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ error: String(error) })}\n`)
  }
}
connection.disconnectSync()
instance.closeSync()
process.exit(0)

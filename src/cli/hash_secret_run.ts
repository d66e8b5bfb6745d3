// Makes and hashes client secrets: one salted SHA-256 for random ones, scrypt for those that a person chose.
import { resolve } from 'node:path'
import { hashGeneratedSecret, looksGenerated, saltBytes } from '#core/secret_hash.ts'
import { hashChosenSecret } from '#platform/secret_check.ts'
import { EXIT } from './command.ts'
import type { CommandIo, ExitCode } from './command.ts'
import type { HashSecretOptions } from './hash_secret.ts'
import { createPrivateFile } from './private_file.ts'
import { InputFailure } from './input_failure.ts'
import { readSecret } from './secret_input.ts'

const GENERATED_BYTES = 32

/** Exit codes: ok, denied (unreadable file), usage. */
export async function runHashSecret(
  file: string | undefined,
  options: HashSecretOptions,
  io: CommandIo,
): Promise<ExitCode> {
  const generate = options.generate === true
  if (generate === (file !== undefined)) return usage('name a file (or -), or say --generate', io)
  if (!generate && options.secretFile !== undefined) return usage('--secret-file goes with --generate', io)
  try {
    if (file === undefined) return await makeSecret(options, io)
    const hash = await hashSecretText(await readSecret(file, io), io)
    io.stdout.write(options.json === true ? `${JSON.stringify({ hash })}\n` : `${hash}\n`)
    return EXIT.ok
  } catch (error) {
    if (!(error instanceof InputFailure)) throw error
    io.stderr.write(`sallyport: failed: ${error.message}\n`)
    return EXIT.denied
  }
}

async function makeSecret(options: HashSecretOptions, io: CommandIo): Promise<ExitCode> {
  const secret = Buffer.from(io.randomBytes(GENERATED_BYTES)).toString('base64url')
  const hash = hashGeneratedSecret(secret, io.randomBytes(saltBytes))
  const file = options.secretFile
  if (file !== undefined) await createPrivateFile(resolve(io.cwd, file), secret)
  const shown = file === undefined ? { secret, hash } : { hash }
  const lines = file === undefined ? `secret  ${secret}\nhash    ${hash}\n` : `${hash}\n`
  io.stdout.write(options.json === true ? `${JSON.stringify(shown)}\n` : lines)
  return EXIT.ok
}

async function hashSecretText(secret: string, io: CommandIo): Promise<string> {
  if (looksGenerated(secret)) return hashGeneratedSecret(secret, io.randomBytes(saltBytes))
  return hashChosenSecret(secret, io.randomBytes)
}

function usage(problem: string, io: CommandIo): ExitCode {
  io.stderr.write(`error: ${problem}\n(see sallyport hash-secret --help)\n`)
  return EXIT.usage
}

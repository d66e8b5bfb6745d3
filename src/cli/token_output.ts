// Where the issued token goes: stdout, a private file, $GITHUB_OUTPUT or a dotenv file.
import { accessSync, constants, lstatSync } from 'node:fs'
import { appendFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { CommandIo } from './command.ts'
import { InputFailure } from './input_failure.ts'
import { appendPrivately, writePrivateFile } from './private_file.ts'
import type { IssuedToken } from './token_request.ts'

export type TokenOutput =
  | { readonly kind: 'stdout'; readonly json: boolean }
  | { readonly kind: 'file'; readonly file: string; readonly json: boolean }
  | { readonly kind: 'github'; readonly name: string; readonly file: string }
  | { readonly kind: 'dotenv'; readonly name: string; readonly file: string }

/** Before a token is spent that can be exchanged once only: throws InputFailure for an output that cannot be written. */
export function checkOutputs(outputs: readonly TokenOutput[], { cwd }: Pick<CommandIo, 'cwd'>): void {
  for (const output of outputs) {
    if (output.kind !== 'stdout') checkTarget(output, cwd)
  }
}

function checkTarget({ kind, file }: Exclude<TokenOutput, { kind: 'stdout' }>, cwd: string): void {
  const path = resolve(cwd, file)
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat?.isDirectory() === true) throw new InputFailure(`${path} is a folder: name a file in it`)
  if (stat?.isSymbolicLink() === true && kind === 'dotenv')
    throw new InputFailure(`${file} is a symbolic link: name the file itself`)
  // A file of --output-file is replaced, so what counts is its folder.
  const isThere = stat !== undefined && kind !== 'file'
  const needed = isThere ? path : dirname(path)
  try {
    accessSync(needed, constants.W_OK)
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    throw new InputFailure(`${path} cannot be written: ${needed} (${reason}); nothing was exchanged`, {
      cause: error,
    })
  }
}

/** Writes the token to each output, in order. Rejects when a file cannot be written. */
export async function writeToken(
  issued: IssuedToken,
  outputs: readonly TokenOutput[],
  io: CommandIo,
): Promise<void> {
  for (const output of outputs) await writeOne(issued, output, io)
}

async function writeOne(issued: IssuedToken, output: TokenOutput, io: CommandIo): Promise<void> {
  switch (output.kind) {
    case 'stdout':
      io.stdout.write(`${render(issued, output.json, io)}\n`)
      return
    case 'file':
      await writePrivateFile(
        resolve(io.cwd, output.file),
        // A token and nothing else: what sends a file as it is (curl's --data-urlencode token@FILE) would send a newline, too.
        `${render(issued, output.json, io)}${output.json ? '\n' : ''}`,
        io.randomBytes,
      )
      return
    case 'github':
      // The mask first: from here on the runner blots the token out of the log.
      io.stdout.write(`::add-mask::${issued.accessToken}\n`)
      await appendFile(resolve(io.cwd, output.file), `${output.name}=${issued.accessToken}\n`)
      return
    case 'dotenv':
      await appendPrivately(resolve(io.cwd, output.file), `${output.name}=${issued.accessToken}\n`)
      io.stderr.write(
        `${output.file} holds a token: GitLab does not mask it in later jobs' logs, and whoever may download the artifacts ` +
          'may read it. Keep it out of artifacts, or set artifacts: {access: none, reports: {dotenv: ...}}.\n',
      )
  }
}

function render(issued: IssuedToken, json: boolean, io: CommandIo): string {
  if (!json) return issued.accessToken
  const expiresAt =
    issued.expiresIn === undefined ? undefined : new Date(io.clock() + issued.expiresIn * 1000).toISOString()
  return JSON.stringify({
    access_token: issued.accessToken,
    issued_token_type: issued.issuedTokenType,
    token_type: issued.tokenType,
    expires_in: issued.expiresIn,
    expires_at: expiresAt,
  })
}

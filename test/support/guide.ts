// Runs what a page of docs/ tells people to type, word for word, from the root of a checkout: `kubectl` is the cluster's, `sallyport`
// the command line of this checkout. What waits for a kubelet (`kubectl rollout status`) is answered at once.
import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { KubeCluster, KubectlResult } from './kube_cluster.ts'
import { MAIN } from './served.ts'

/** An apiserver compiles all that `generate vap` prints in 15 s, and in more than a minute where others compute beside it. */
const BLOCK_MS = 240_000

const root = join(import.meta.dirname, '..', '..')

export type Guide = {
  readonly text: string
  /** The bodies of its fenced blocks of that language. */
  blocks(language: string): readonly string[]
  /** Runs the only block of commands with these words. */
  run(words: string): Promise<KubectlResult>
  /** Files that its commands have left. */
  readonly folder: string
  /** Words of the blocks that were run so far. */
  readonly done: ReadonlySet<string>
}

export function openGuide(t: Test, name: string, cluster: KubeCluster): Guide {
  const text = readFileSync(join(root, 'docs', name), 'utf8')
  const home = mkdtempSync(join(tmpdir(), 'sallyport-guide-'))
  t.teardown(() => rmSync(home, { recursive: true, force: true }))
  const bin = join(home, 'bin')
  const folder = join(home, 'checkout')
  mkdirSync(bin)
  mkdirSync(folder)
  symlinkSync(join(root, 'deploy'), join(folder, 'deploy'))
  command(
    bin,
    'kubectl',
    `case " $* " in *" rollout status "*) exit 0;; esac\nexec '${cluster.kubectlFile}' "$@"`,
  )
  command(bin, 'sallyport', `exec '${process.execPath}' '${MAIN}' "$@"`)
  const done = new Set<string>()
  const blocks = (language: string): readonly string[] =>
    [...text.matchAll(/^( *)```(\w+)\n([\s\S]*?)^ *```$/gm)].flatMap(([, indent = '', lang, body = '']) =>
      lang === language ? [body.replaceAll(new RegExp(`^${indent}`, 'gm'), '')] : [],
    )
  return {
    text,
    folder,
    done,
    blocks,
    run(words) {
      const [block, second] = blocks('sh').filter((each) => each.includes(words))
      if (block === undefined || second !== undefined)
        throw new Error(
          `${block === undefined ? 'no block' : 'several blocks'} of docs/${name} with ${words}`,
        )
      done.add(block)
      const env = {
        PATH: `${bin}:${process.env['PATH']}`,
        HOME: home,
        KUBECONFIG: cluster.adminKubeconfig,
      }
      return new Promise((resolve) => {
        const options = { cwd: folder, env, timeout: BLOCK_MS, killSignal: 'SIGKILL' } as const
        // --norc: bash reads its startup file where stdin is a socket.
        execFile('bash', ['--norc', '-euo', 'pipefail', '-c', block], options, (error, stdout, stderr) => {
          resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr })
        })
      })
    },
  }
}

function command(bin: string, name: string, body: string): void {
  writeFileSync(join(bin, name), `#!/bin/sh\n${body}\n`)
  chmodSync(join(bin, name), 0o755)
}

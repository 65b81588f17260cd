/** Lets a test kill this process at a named place of a journey, as a power cut would. */
import { CHECKPOINTS, type Checkpoint } from '../model/ports.js';

/**
 * @param name the checkpoint to die at, from the environment; only heard under NODE_ENV=test
 * @throws Error when there is no such checkpoint
 */
export function checkpointFrom(env: NodeJS.ProcessEnv): (name: Checkpoint) => void {
  const fatal = env.CRASH_AT_CHECKPOINT;
  if (env.NODE_ENV !== 'test' || fatal === undefined || fatal === '') return () => undefined;
  if (!(CHECKPOINTS as readonly string[]).includes(fatal)) {
    throw new Error(`CRASH_AT_CHECKPOINT must be one of ${CHECKPOINTS.join(', ')}, not "${fatal}"`);
  }
  return (name) => {
    if (name === fatal) process.kill(process.pid, 'SIGKILL');
  };
}

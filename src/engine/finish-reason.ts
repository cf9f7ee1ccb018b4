/** Why a sequence ended: an end token or a stop string came, its tokens were used up, or it was cancelled. */
export type FinishReason = 'stop' | 'length' | 'abort';

# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of uffdctl in bash. The program finds what fits; nothing of the line is expanded or run.

_uffdctl() {
	local kind last value text i
	local -a texts=()

	COMPREPLY=()
	while IFS=$'\t' read -r kind value text; do
		if [[ $kind == file ]]; then
			compopt -o default
			return
		fi
		last=$kind
		COMPREPLY+=("$value")
		texts+=("$text")
	done < <("${1/#\~\//$HOME/}" complete bash -- "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null)
	if ((${#COMPREPLY[@]} == 1)); then
		[[ $last != part ]] || compopt -o nospace
	elif [[ $COMP_TYPE != 37 && $COMP_TYPE != 42 ]]; then # not where each is inserted: menu-complete, insert-completions
		for i in "${!COMPREPLY[@]}"; do
			COMPREPLY[i]+=${texts[i]:+  (${texts[i]})}
		done
	fi
} && complete -F _uffdctl uffdctl

# bash completion for matrix-events

_matrix_events()
{
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
	local server='--store --dbname --host --port --username --retry --help'
	local options

	case $before in
		-o | --output)
			mapfile -t COMPREPLY < <(compgen -f -- "$word")
			return ;;
		-s | --store | -d | --dbname | -h | --host | -p | --port | -U | --username | --retry | --batch | --name | --since | --until | \
		--room | --type | --sender | --worker | --process | --max | --poll | --interval)
			return ;;
		--exec)
			mapfile -t COMPREPLY < <(compgen -c -- "$word")
			return ;;
	esac
	case ${COMP_WORDS[1]} in
		validate) options='--quiet --help' ;;
		load) options="--batch --strict --name --no-resume $server" ;;
		export) options="--since --until --room --type --history --output $server" ;;
		listen) options="--since --worker --process --room --type --sender --max --poll --exec --once $server" ;;
		relay) options="--interval $server" ;;
	esac
	if [ "$COMP_CWORD" = 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W 'validate load export listen relay --help --version' -- "$word")
	elif [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
	fi
}
complete -o filenames -F _matrix_events matrix-events
